compose up -d
compose exec -T app sh -c 'id; touch /x 2>/dev/null || echo "read-only root"; touch /tmp/x && echo "tmp is writable"; cat /proc/1/comm; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status'
compose exec -T profiled mkdir /tmp/x 2>&1 || true
compose exec -T unconfined grep Seccomp: /proc/self/status
