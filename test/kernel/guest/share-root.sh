#!/bin/sh
# Serves the host's root to a guest by virtiofs, read-only: QEMU 7.2's virtiofsd has no option for that, so it is shown a
# view in which every mount is read-only. Must run in a mount namespace of its own (unshare --mount).
# usage: share-root.sh VIEW SOCKET, where VIEW is any folder: what it holds is seen below the view all the same
set -eu

view=$1
socket=$2
places=$(mktemp)

mount --rbind / "$view"
# The guest has its own of these.
for place in proc sys dev; do
	umount --recursive --lazy "$view/$place" || true
done
findmnt --list --noheadings --output TARGET --submounts "$view" >"$places"
while IFS= read -r place; do
	mount -o remount,bind,ro "$place"
done <"$places"
rm "$places"

# cache=always: the guest forgets a whole program each time it is opened otherwise, and Node takes seven seconds to start.
# It sees the files as they were when it first read them.
for program in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
	if [ -x "$program" ]; then
		exec "$program" --socket-path="$socket" -o source="$view" -o cache=always -o announce_submounts
	fi
done
echo "virtiofsd is missing: install qemu-system-common" >&2
exit 127
