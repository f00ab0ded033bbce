compose up -d
compose exec -T app sh -c 'echo $A $B ${C:-unset} $D; cat /over/file'
compose port app 6379
compose -f compose.yaml config --services | sort
compose config --services
