compose up -d --wait
curl -si http://127.0.0.1:18101/ | tr -d '\r' | grep -E '^HTTP|^X-Ferry|h1'
compose exec -T web sh -c 'touch /var/www/html/x 2>&1' || echo "read-only"
compose port web 80
