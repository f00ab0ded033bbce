compose up -d
for service in api admin; do compose exec -T $service sh -c 'echo "$NAME $KIND $EXTRA"; cat /etc/motd'; done
until compose exec -T admin redis-cli -p 7000 ping >/dev/null 2>&1; do sleep 0.1; done
compose exec -T admin redis-cli -p 7000 ping
