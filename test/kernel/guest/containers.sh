# shellcheck shell=sh
# Gives the guest a podman that has the image. Sourced by enter.sh, which has set `repository`.

# Pods take the devices controller of cgroup v1 here: podman 4.3 and runc fail on version 2 alone.
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for controller in devices memory pids; do
	mkdir "/sys/fs/cgroup/$controller"
	mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done

: "${repository:?}"
mkdir -p /etc/containers
cat >/etc/containers/containers.conf <<'END'
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
# Images are read where the host keeps them; importing one would take the better part of a minute.
cat >/etc/containers/storage.conf <<END
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
[storage.options.overlay]
skip_mount_home = "true"
[storage.options]
additionalimagestores = ["$repository/.cache/image/store"]
END
