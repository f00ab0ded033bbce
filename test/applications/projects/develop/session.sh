compose build -q >/dev/null 2>&1
compose up -d
compose watch --no-up >watch.log 2>&1 </dev/null &
watcher=$!
until grep -qi 'watch' watch.log; do sleep 0.1; done
sleep 1
started() { compose ps --format '{{.ID}}' app | xargs docker inspect -f '{{.State.StartedAt}}'; }
before=$(started)
echo second >src/page
echo hidden >src/a.tmp
until compose exec -T app grep second /src/page; do sleep 0.2; done
compose exec -T app ls /src
echo 81 >settings/port
until compose exec -T app grep 81 /settings/port >/dev/null; do sleep 0.2; done
until [ "$(started)" != "$before" ]; do sleep 0.2; done
echo restarted
kill -INT $watcher
wait $watcher || true
