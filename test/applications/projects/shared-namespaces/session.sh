compose up -d
compose exec -T main sh -c 'until curl -s -o /dev/null localhost; do sleep 0.1; done'
compose exec -T -u 0 beside sh -c 'cat /proc/1/comm; hostname; until redis-cli ping >/dev/null; do sleep 0.1; done; touch /dev/shm/shared'
compose exec -T main ls /dev/shm
bash -c 'exec 3<>/dev/tcp/127.0.0.1/18130; echo PING >&3; head -1 <&3' | tr -d '\r'
compose exec -T alone sh -c 'ls /sys/class/net'
