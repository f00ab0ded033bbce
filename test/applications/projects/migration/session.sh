compose up -d web
until compose logs --no-log-prefix web | grep -q 1; do sleep 0.1; done
compose logs --no-log-prefix web
compose --profile broken up -d never 2>/dev/null || echo "did not come up"
compose ps -a --format '{{.Service}} {{.State}} {{.ExitCode}}' | sort
compose --profile '*' rm -sf never >/dev/null 2>&1
