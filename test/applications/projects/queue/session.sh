compose up -d
until compose ps -a --format '{{.State}}' work | grep -qx exited; do sleep 0.2; done
compose logs --no-log-prefix work
compose ps -a --format '{{.Service}} {{.State}} {{.ExitCode}}' | sort
