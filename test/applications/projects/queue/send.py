import pika
channel = pika.BlockingConnection(pika.ConnectionParameters("queue")).channel()
channel.queue_declare("cargo", durable=True)
for crate in range(3):
    channel.basic_publish("", "cargo", f"crate {crate}".encode())
