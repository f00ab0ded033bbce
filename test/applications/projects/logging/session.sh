compose up -d
until [ "$(compose logs --no-log-prefix tty talk | wc -l)" -ge 6 ]; do sleep 0.1; done
compose exec -T -u 0 talk touch /go
until [ "$(compose logs --no-log-prefix tty talk | wc -l)" -ge 7 ]; do sleep 0.1; done
compose logs --no-color talk | grep -v err
compose logs --no-log-prefix --tail 2 talk 2>/dev/null | sort
compose logs --no-color tty | tr -d '\r'
compose logs --since 1h --no-log-prefix talk | wc -l
