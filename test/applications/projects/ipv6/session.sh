compose up -d
compose exec -T client sh -c 'until curl -6 -so /dev/null http://web; do sleep 0.1; done; getent ahostsv6 web | head -1 | cut -d" " -f1'
compose exec -T client curl -6s -o /dev/null -w '%{http_code} %{remote_ip}\n' 'http://[fd00:18:113::80]/'
