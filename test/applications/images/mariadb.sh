#!/bin/sh
# The database of the image, with the password, the database and the scripts of this service.
set -eu
if [ ! -e /var/lib/mysql/prepared ]; then
  {
    echo "create user 'app'@'%' identified by '$MARIADB_PASSWORD';"
    echo "create database $MARIADB_DATABASE;"
    echo "grant all on $MARIADB_DATABASE.* to 'app'@'%';"
    echo "use $MARIADB_DATABASE;"
    cat /initdb.d/*.sql 2>/dev/null || true
  } >/tmp/first.sql
  set -- --init-file=/tmp/first.sql "$@"
  touch /var/lib/mysql/prepared
fi
exec mariadbd --bind-address='*' --innodb-flush-log-at-trx-commit=0 "$@"
