# shellcheck shell=bash
# Makes a small Debian to build the image on, without a registry. To be sourced, after install.sh.
#
#   make_debian_base FOLDER SUITE   by debootstrap, from the source of packages that this host's apt uses; takes root
#   debian_base_archive FOLDER      its files as tar, with the times of SOURCE_DATE_EPOCH

make_debian_base() {
	local folder=$1 suite=$2 mirror
	mirror=$(debian_sources "$suite" | awk -v suite="$suite" '$3 == suite { print $2; exit }')
	[[ -n $mirror ]] || fail "this host's apt knows no source of Debian $suite: see apt-get update, or give --base an image of a registry"
	[[ -n $(command -v debootstrap) ]] || fail "debootstrap is missing: install it, or give --base an image of a registry"
	# What it mounts below the folder must not be there when somebody removes that.
	quietly as_root unshare --mount debootstrap --variant=minbase "$suite" "$folder" "$mirror"
	as_root rm -rf "$folder"/var/cache/{apt,debconf,ldconfig}/* "$folder"/var/lib/apt/lists/* "$folder"/var/log/*
	# This host's own settings.
	as_root rm -f "$folder"/etc/{apt/sources.list,hostname,resolv.conf,passwd-,shadow-,group-,gshadow-,machine-id}
	as_root rm -rf "$folder"/usr/share/{info,locale,man}/*
	as_root find "$folder/usr/share/doc" -type f ! -name copyright -delete
	as_root sed -i 's/^\([^:]*:[^:]*\):[0-9]*:/\1::/' "$folder/etc/shadow"
}

debian_base_archive() {
	as_root tar --create --directory "$1" --sort=name --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" .
}
