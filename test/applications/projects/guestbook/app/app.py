import os, psycopg2
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSWORD = open(os.environ["PASSWORD_FILE"]).read().strip()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg2.connect(os.environ["DATABASE"], password=PASSWORD) as db, db.cursor() as rows:
            if len(self.path) > 1:
                rows.execute("insert into guests values (%s)", (self.path[1:],))
            rows.execute("select name from guests order by name")
            names = ", ".join(row[0] for row in rows)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.environ['GREETING']}: {names}\n".encode())

ThreadingHTTPServer(("", 8000), Handler).serve_forever()
