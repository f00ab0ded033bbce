#!/bin/sh
# The database of the image, with the password, the database and the scripts of this service.
set -eu
password=${POSTGRES_PASSWORD:-}
[ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(cat "$POSTGRES_PASSWORD_FILE")
if [ ! -e "$PGDATA/prepared" ]; then
  pg_ctl -s -w start -o "-c listen_addresses='' -c fsync=off" >/dev/null
  psql -q -c "alter user postgres password '$password'"
  [ -z "${POSTGRES_DB:-}" ] || createdb "$POSTGRES_DB"
  for script in /initdb.d/*.sql; do
    [ ! -e "$script" ] || psql -q -d "${POSTGRES_DB:-postgres}" -f "$script"
  done
  pg_ctl -s -m fast stop
  touch "$PGDATA/prepared"
fi
exec postgres -c listen_addresses='*' -c fsync=off "$@"
