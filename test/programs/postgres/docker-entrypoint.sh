#!/usr/bin/env bash
# Makes the database cluster on the first start, then becomes the server.
set -Eeo pipefail
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	: "${POSTGRES_PASSWORD:?is not set}"
	initdb --username=postgres --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 > /dev/null
	echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
	pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start > /dev/null
	for file in /docker-entrypoint-initdb.d/*.sql; do
		psql -v ON_ERROR_STOP=1 --username postgres --no-password -f "$file"
	done
	pg_ctl -D "$PGDATA" -m fast -w stop > /dev/null
fi
exec "$@"
