id() { compose ps -q "$1"; }
compose -f compose.yaml -f extra.yaml up -d
stays=$(id stays) changes=$(id changes)
LEVEL=2 compose up -d --remove-orphans
[ "$(id stays)" = "$stays" ] && echo "stays stayed"
[ "$(id changes)" = "$changes" ] || echo "changes changed"
compose exec -T changes sh -c 'echo $LEVEL'
compose ps -a --format '{{.Service}}' | sort
compose up -d --force-recreate --no-deps changes
[ "$(id stays)" = "$stays" ] && echo "stays stayed"
compose exec -T changes sh -c 'echo $LEVEL'
compose up -d --always-recreate-deps --force-recreate changes
[ "$(id stays)" = "$stays" ] || echo "stays changed"
