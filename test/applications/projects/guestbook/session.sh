compose build -q >/dev/null 2>&1
compose up -d --wait
curl -s http://127.0.0.1:18102/second
compose restart -t 5 db
compose up -d --wait
curl -s http://127.0.0.1:18102/third
compose down -t 5
compose up -d --wait
curl -s http://127.0.0.1:18102/
