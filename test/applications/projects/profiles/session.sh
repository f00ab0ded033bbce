services() { compose ps --format '{{.Service}}' | sort | tr '\n' ' '; echo; }
compose up -d
services
COMPOSE_PROFILES=debug compose up -d
services
compose run --rm -T tools
compose --profile debug stop debug
services
compose --profile '*' config --services | sort
compose config --profiles | sort
