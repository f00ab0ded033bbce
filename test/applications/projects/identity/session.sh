compose up -d
compose exec -T app sh -c 'hostname; pwd; grep -E "crane|ramp" /etc/hosts | sort; grep options /etc/resolv.conf; cat /sys/class/net/eth0/address; echo "$A $B ${C-unset} $D"; echo x >/dev/nothing && echo written'
