compose up -d
until [ "$(compose logs --no-log-prefix tty talk | wc -l)" -ge 7 ]; do sleep 0.1; done
compose logs --no-color talk | grep -v err
compose logs --no-log-prefix --tail 2 talk | wc -l
compose logs --no-color tty | tr -d '\r'
compose logs --since 1h --no-log-prefix talk | wc -l
