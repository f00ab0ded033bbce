compose up -d
compose exec -T app env | grep -vE '^(PATH|HOME|HOSTNAME)=' | sort
