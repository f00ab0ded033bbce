compose build -q >/dev/null 2>&1
compose up -d
until compose ps front --format '{{.Health}}' | grep -qx healthy; do sleep 0.2; done
curl -s http://127.0.0.1:18140/api
# The worker may have counted the order before this answer, or not.
curl -s http://127.0.0.1:18140/api/order | cut -d ';' -f 1
until curl -s http://127.0.0.1:18140/api | grep 'orders 1'; do sleep 0.2; done
compose ps -a --format '{{.Service}} {{.State}}' | sort
