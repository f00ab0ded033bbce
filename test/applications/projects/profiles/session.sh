services() { compose ps --format '{{.Service}}' | sort | tr '\n' ' '; echo; }
compose up -d
services
COMPOSE_PROFILES=debug compose up -d
services
until compose exec -T app redis-cli ping >/dev/null 2>&1; do sleep 0.1; done
compose run --rm -T tools
compose --profile debug stop debug
services
compose --profile '*' config --services | sort
compose config --profiles | sort
