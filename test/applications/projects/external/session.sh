compose up -d 2>/dev/null || echo "nothing is there yet"
docker network create apps-external >/dev/null
docker volume create apps-external >/dev/null
compose up -d
compose exec -T -u 0 app touch /given/file
compose down
docker run --rm -v apps-external:/v --entrypoint ls apps/redis /v
docker network inspect -f '{{.Name}} stays' apps-external
docker network rm apps-external
docker volume rm apps-external
