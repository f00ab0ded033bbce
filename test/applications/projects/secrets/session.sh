TOKEN=t0ken PORT=81; export TOKEN PORT
compose up -d
compose exec -T -u 0 app sh -c 'cat /run/secrets/plain /plain_config /etc/app/made.conf; echo "$(cat /run/secrets/own_name /etc/deep/token /etc/app/shell.conf)"'
compose exec -T app stat -c '%u %g %a %n' /run/secrets/own_name /etc/app/made.conf /etc/deep/token
