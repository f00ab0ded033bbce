compose build -q >/dev/null 2>&1
compose up -d --wait --quiet-pull
until curl -s -o /dev/null http://127.0.0.1:18103/up; do sleep 0.1; done
for _ in 1 2 3; do curl -s http://127.0.0.1:18103/; done
compose up -d --wait --scale web=3
curl -s http://127.0.0.1:18103/
compose ps --format '{{.Service}}' | sort | uniq -c | tr -s ' '
compose exec -T --index 3 web hostname | wc -c
compose exec -T cache redis-cli get visits
