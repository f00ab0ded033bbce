compose up -d --wait
compose exec -T two cat /part/file
compose exec -T two touch /part/x 2>/dev/null || echo "read-only"
compose exec -T one sh -c 'ls /var/www/html; ls /etc/nginx/conf.d | wc -l; stat -c %a /scratch; df -k --output=size /scratch /memory | tail -2 | tr -s " "; test -d /made && echo made'
compose exec -T three sh -c 'touch /anonymous/x 2>/dev/null || echo "read-only too"'
compose exec -T one touch /anonymous/kept
compose up -d --force-recreate --wait
compose exec -T one ls /anonymous
compose up -d --force-recreate -V --wait
compose exec -T one ls /anonymous
compose exec -T one sh -c 'rmdir /made; ls / | grep -c made'
