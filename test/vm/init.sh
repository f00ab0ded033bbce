#!/bin/sh
# The machine's first process: a pure cgroup v2 host without an init system, then the checks.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 run /run
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
hostname naru-vm
ip link set lo up
ulimit -n 65536
# Results go to the second serial line, where neither the kernel nor the daemon writes. The checks
# wait more than they reckon: compiling them would only take the emulated processors from naru.
BUN_JSC_useJIT=0 BUN_BE_BUN=1 /payload/naru run /payload/guest.js > /dev/ttyS1 2> /dev/console
echo "naru-vm: the checks ended with $?"
sync
poweroff -f
