compose up -d
at() { docker inspect -f '{{.State.StartedAt}}' "$(compose ps -q "$1")"; }
api=$(at api) page=$(at page)
compose restart db
[ "$(at api)" = "$api" ] && echo "api stays" || echo "api restarted"
[ "$(at page)" = "$page" ] && echo "page stays" || echo "page restarted"
until compose exec -T page redis-cli -h api ping >/dev/null 2>&1; do sleep 0.1; done
compose exec -T page redis-cli -h api ping
