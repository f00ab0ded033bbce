compose up -d
compose exec -T app bash -c 'ulimit -n; ulimit -Hn; ulimit -c; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax /proc/1/oom_score_adj; df -k --output=size /dev/shm | tail -1 | tr -s " "'
