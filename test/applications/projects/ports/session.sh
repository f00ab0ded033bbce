compose up -d
for port in 18120 18123 18124 "$(compose port any 80 | sed 's/.*://')"; do
  until curl -s -o /dev/null http://127.0.0.1:$port/; do sleep 0.1; done
  curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:$port/
done
compose port range 81
compose port --protocol udp long 53
