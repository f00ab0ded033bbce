import pika, redis
channel = pika.BlockingConnection(pika.ConnectionParameters("queue")).channel()
channel.queue_declare("orders")
for method, _properties, body in channel.consume("orders"):
    redis.Redis("cache").incr("orders")
    channel.basic_ack(method.delivery_tag)
