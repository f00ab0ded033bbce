FROM_SHELL=shell compose build -q >/dev/null 2>&1
compose up -d
compose exec -T app sh -c 'for f in color sum listing lib.txt hosts; do echo "$f: $(cat /work/$f | tr "\n" " ")"; done; stat -c "%U %a" /work/kept'
compose exec -T base cat /base
until compose exec -T app redis-cli -p 7001 ping >/dev/null 2>&1; do sleep 0.1; done
compose exec -T app redis-cli -p 7001 ping
