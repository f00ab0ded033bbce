compose build -q >/dev/null 2>&1
compose up -d
compose watch --no-up >watch.log 2>&1 </dev/null &
watcher=$!
until grep -qi 'watch' watch.log; do sleep 0.1; done
started() { compose ps --format '{{.ID}}' app | xargs docker inspect -f '{{.State.StartedAt}}'; }
before=$(started)
# Written until it is seen: the first change may come before the watch.
until compose exec -T app grep second /src/page; do
  echo hidden >src/a.tmp
  echo second >src/page
  sleep 0.5
done
compose exec -T app ls /src
until compose exec -T app grep -qs 81 /settings/port; do
  echo 81 >settings/port
  sleep 0.5
done
until [ "$(started)" != "$before" ]; do sleep 0.2; done
echo restarted
kill -INT $watcher
wait $watcher || true
