compose up -d
count() { compose exec -T asker sh -c 'getent ahostsv4 worker | cut -d" " -f1 | sort -u | wc -l'; }
count
compose up -d --scale worker=5 --no-recreate
count
compose scale worker=2
count
compose ps --format '{{.Name}}' worker | sed 's/.*-worker/worker/' | sort
compose up -d
