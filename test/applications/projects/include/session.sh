compose up -d
until compose exec -T cache redis-cli ping >/dev/null 2>&1; do sleep 0.1; done
compose exec -T cache redis-cli config get maxmemory
compose exec -T cache cat /here/file
compose exec -T front sh -c 'until curl -s front; do sleep 0.1; done'
