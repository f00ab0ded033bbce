compose up -d
compose exec -T app sh -c 'cat /notes/log; ls /notes'
compose stop
compose run --rm -T --no-deps --entrypoint cat notes /notes/log
compose start
