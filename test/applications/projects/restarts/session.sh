compose up -d
until [ "$(compose ps -a --format '{{.State}}' twice)" = exited ]; do sleep 0.2; done
until [ "$(compose ps -a --format '{{.State}}' deployed)" = exited ]; do sleep 0.2; done
compose logs --no-log-prefix twice
compose exec -T always redis-cli debug segfault >/dev/null 2>&1 || true
until compose exec -T always redis-cli ping 2>/dev/null; do sleep 0.2; done
compose ps -a --format '{{.Service}} {{.State}} {{.ExitCode}}' | sort
