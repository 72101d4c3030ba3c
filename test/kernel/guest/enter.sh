#!/bin/sh
# First process of the guest once the host's programs are at hand.
# usage: enter.sh REPOSITORY agent
#        enter.sh REPOSITORY containers
#        enter.sh REPOSITORY shell ROWS COLUMNS
set -eu

repository=$1
mode=$2
export PATH="$repository/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME=/root TERM="${TERM:-linux}" NO_COLOR=1
cd "$repository"

hostname vnf-ipsec-guest
ip link set lo up
# As the first "ip netns add" would do it, which makes a mount that stays.
mkdir /run/netns
mount --bind /run/netns /run/netns
mount --make-shared /run/netns

case $mode in
containers) . test/kernel/guest/containers.sh ;;
esac

case $mode in
agent | containers)
	# What one scenario has compiled the next one need not; it takes the emulated processor seconds.
	export NODE_COMPILE_CACHE=/tmp/compiled
	# In the background, because a waiting shell also buries the orphans that the first process inherits.
	node test/kernel/guest/agent.ts "$(cut -d ' ' -f 1 /proc/uptime)" &
	wait "$!" || echo "the agent ended with $?"
	;;
shell)
	echo "A guest of the kernel tier: the host's files, to be written at will; nothing reaches the host."
	echo "A scenario runs by: node --test test/kernel/scenarios/NAME.test.ts. The end of this shell ends the guest."
	# The console device itself cannot be a controlling terminal; the one behind it can.
	terminal=/dev/$(cat /sys/class/tty/console/active)
	stty rows "$3" columns "$4" <"$terminal"
	setsid --ctty --wait bash -i <>"$terminal" >&0 2>&0 || true
	;;
esac

sync
echo o >/proc/sysrq-trigger
# The kernel powers off in its own time; the first process must not end before.
while :; do :; done
