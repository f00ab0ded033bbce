import pika, psycopg2, redis
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/api/order":
            channel = pika.BlockingConnection(pika.ConnectionParameters("queue")).channel()
            channel.queue_declare("orders")
            channel.basic_publish("", "orders", b"rope")
        with psycopg2.connect(host="db", user="postgres", password=open("/run/secrets/db").read().strip()) as db, db.cursor() as rows:
            rows.execute("select name from goods order by name")
            goods = ", ".join(row[0] for row in rows)
        orders = redis.Redis("cache").get("orders") or b"0"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{goods}; orders {orders.decode()}\n".encode())

ThreadingHTTPServer(("", 8000), Handler).serve_forever()
