compose up -d
compose run --rm -T -e COLOR=red --entrypoint sh app -c 'echo $COLOR >/shared/run; echo run'
compose run --rm -T --no-deps --user 0 --workdir /etc --entrypoint pwd app
compose run -d --name "$COMPOSE_PROJECT_NAME-detached" app 900 | wc -c
until compose top app | grep -q '[0-9] *sleep 300'; do sleep 0.1; done
compose exec -T -e COLOR=blue -w /shared app sh -c 'pwd; cat run; echo $COLOR; exit 4' || echo "code $?"
compose exec -T -u 0 app id -un
echo "from here" >file
compose cp file app:/tmp/there
compose cp app:/tmp/there back
cat back
compose top app | grep -c 'sleep 300'
compose pause
compose ps -a --format '{{.Service}} {{.State}}' | sort
compose unpause
compose kill -s KILL other
until compose ps -a --format '{{.Service}} {{.State}} {{.ExitCode}}' | grep 'other exited 137'; do sleep 0.1; done
compose images --format json | tr ',' '\n' | grep -c apps/redis
compose ls -q | grep -x "$COMPOSE_PROJECT_NAME" | sed "s/$COMPOSE_PROJECT_NAME/listed/"
compose start other
compose stop -t 1 app
compose rm -f app >/dev/null
compose create
compose ps -a --format '{{.Service}} {{.State}}' | sort
