compose up -d db --wait
compose run --rm -T posts
compose exec -T db sh -c 'mariadb -uapp -p$MARIADB_PASSWORD blog -e "insert into posts values (\"third\")"'
compose stop
compose start
until compose ps db --format '{{.Health}}' | grep -qx healthy; do sleep 0.2; done
compose run --rm -T posts | tail -1
