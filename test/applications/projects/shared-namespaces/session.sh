compose up -d
compose exec -T -u 0 beside sh -c 'cat /proc/1/comm; hostname; until redis-cli ping >/dev/null; do sleep 0.1; done; touch /dev/shm/shared'
compose exec -T main ls /dev/shm
until printf 'PING\r\nQUIT\r\n' | nc -w 2 127.0.0.1 18130 | tr -d '\r'; do sleep 0.1; done
compose exec -T alone sh -c 'ls /sys/class/net'
