compose up -d
for service in api admin; do compose exec -T $service sh -c 'echo "$NAME $KIND $EXTRA"; cat /etc/motd'; done
compose exec -T admin redis-cli -p 7000 ping
