compose up -d
compose exec -T outside sh -c 'until curl -so /dev/null www; do sleep 0.1; done; getent hosts www | cut -d" " -f1; getent hosts site.example | cut -d" " -f1; getent hosts pier'
compose exec -T outside timeout 20 getent hosts store || echo "store is not known outside"
compose exec -T front sh -c 'getent hosts store back >/dev/null && echo both names; cat /sys/class/net/*/mtu | sort -n | tr "\n" " "; cat /sys/class/net/*/address | grep 02:42:ac:1d:70:11'
until compose exec -T front bash -c 'exec 3<>/dev/tcp/store/6379' 2>/dev/null; do sleep 0.1; done
compose exec -T front bash -c 'exec 3<>/dev/tcp/store/6379; echo PING >&3; head -1 <&3'
compose exec -T back sh -c 'while read -r link to rest; do [ "$to" != 00000000 ] || echo "a way out"; done </proc/net/route'
