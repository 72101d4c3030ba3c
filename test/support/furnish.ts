/**
 * Run by bash as the first process of new network and mount namespaces.
 * `$0` is its title for `ps`, `$1` the repository, `$2` whether devices to come have IPv6: `ipv6` or `ipv4-only`.
 * Gives them a /run and an /etc of their own, in memory, then says `ready` and stays.
 */
export const furnish = `
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys

mkdir /run/host-etc
mount --bind /etc /run/host-etc
mount -t tmpfs -o mode=755 tmpfs /etc
cd /run/host-etc
existing=()
for entry in alternatives gai.conf group host.conf hosts iproute2 ipsec.d ld.so.cache ld.so.conf ld.so.conf.d \\
    localtime nsswitch.conf os-release passwd protocols services ssl strongswan.conf strongswan.d swanctl; do
  [[ -e $entry ]] && existing+=("$entry")
done
cp -a "\${existing[@]}" /etc/
cp -L resolv.conf /etc/ 2>/dev/null || :
cd "$1"
umount /run/host-etc
rmdir /run/host-etc

cp -r rootfs/etc/. /etc/
chmod 600 /etc/ipsec.secrets
# Debian enables plugins that an image does not install, and that want iptables, a DHCP server, a cluster or hardware.
# af-alg asks the kernel for each algorithm by itself, which takes seconds where modules are loaded for it.
for plugin in af-alg connmark dhcp forecast ha led ldap pkcs11 tnc-tnccs tpm; do
  printf '%s {\\n  load = no\\n}\\n' "$plugin" > /etc/strongswan.d/charon/$plugin.conf
done

ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
for name in all default; do
  echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter
  echo 0 > /proc/sys/net/ipv4/conf/$name/send_redirects
done
if [[ $2 == ipv6 ]]; then
  echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
elif [[ -e /proc/sys/net/ipv6/conf/default/disable_ipv6 ]]; then
  # Otherwise the kernel's own multicast reports turn up in captures now and then.
  echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
fi

cd /
echo ready
exec -a "$0" sleep infinity
`;
