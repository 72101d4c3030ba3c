#!/bin/sh
# First process of the guest, from the initramfs (busybox). Makes a root out of the host's: read-only below, a tmpfs above,
# so that the guest may write anywhere and nothing of it reaches the host. A failure ends this script, and with it the
# guest: the kernel panics when its first process ends, and `panic=-1 -no-reboot` makes QEMU exit.
set -eu

/bin/busybox --install -s /bin
export PATH=/bin
repository=$(cat /guest/repository)
modules=$(cat /guest/modules)

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

for module in /modules/*.ko; do
	insmod "$module"
done

mount -t virtiofs -o ro root /host
# Programs are read in few large pieces: each piece is a journey to the host and back.
for readahead in /sys/class/bdi/*/read_ahead_kb; do
	echo 512 >"$readahead"
done
mount -t tmpfs -o size=75% tmpfs /written
mkdir /written/upper /written/work
mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work overlay /root

# A checkout below /tmp or /run stays visible through the fresh mounts there.
mount -o bind "/root$repository" /repository
mount -t tmpfs -o mode=1777 tmpfs /root/tmp
mount -t tmpfs -o mode=755 tmpfs /root/run
mkdir -p /root/run/lock /root/var/lib/containers /root/dev /root/proc /root/sys "/root$repository"
mount -t tmpfs tmpfs /root/var/lib/containers
mount -o move /repository "/root$repository"

release=$(uname -r)
mkdir -p "/root/lib/modules/$release"
mount -o bind "/root$modules" "/root/lib/modules/$release"

mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr

mount -o move /proc /root/proc
mount -o move /sys /root/sys
mount -o move /dev /root/dev
# shellcheck disable=SC2046 # words, each an argument
exec switch_root /root /bin/sh "$repository/test/kernel/guest/enter.sh" "$repository" $(cat /guest/purpose)
