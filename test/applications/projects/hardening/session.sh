compose up -d
compose exec -T app sh -c 'while grep -q : /proc/1/comm; do sleep 0.1; done; id; touch /x 2>/dev/null || echo "read-only root"; touch /tmp/x && echo "tmp is writable"; cat /proc/1/comm; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status'
compose exec -T profiled mkdir /tmp/x 2>&1 || true
compose exec -T unconfined grep Seccomp: /proc/self/status
