import pika
channel = pika.BlockingConnection(pika.ConnectionParameters("queue")).channel()
channel.queue_declare("cargo", durable=True)
for _ in range(3):
    for method, _properties, body in channel.consume("cargo"):
        print(body.decode())
        channel.basic_ack(method.delivery_tag)
        break
