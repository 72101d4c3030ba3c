# shellcheck shell=bash
# Installs what is missing on a Debian with Node 20 or later, and nothing else. To be sourced from the repository's root by
# a script that says in `program` how messages call it; afterwards `node` is the one that package-lock.json names.
#
#   install_packages GROUP...   Debian packages, of the groups below
#   install_node_modules        node_modules, as package-lock.json has them
#   as_root COMMAND...          by sudo for anybody else

# Who is not root has no such folders in the search path of Debian.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# shellcheck disable=SC2034 # install_packages reads these by name
# What the gateway itself and the two sites of tests and demo are made of.
packages_base=(
	strongswan strongswan-swanctl strongswan-pki
	libstrongswan-standard-plugins libstrongswan-extra-plugins libcharon-extra-plugins
	iproute2 iputils-ping kmod libcap2-bin nftables openssl procps tcpdump
	bash coreutils findutils mount util-linux
)
# shellcheck disable=SC2034
packages_static=(shellcheck shfmt)
# shellcheck disable=SC2034 # makes certificates
packages_unit=(openssl)
# shellcheck disable=SC2034 # reads the metrics as Prometheus does
packages_tunnel=(python3-prometheus-client)
# shellcheck disable=SC2034
packages_kernel=(busybox-static cpio findutils iptables kmod mount qemu-system-common)
case $(uname -m) in
aarch64) packages_kernel+=(qemu-system-arm) ;;
*) packages_kernel+=(qemu-system-x86) ;;
esac

# shellcheck disable=SC2034 # catatonit is for pods
packages_image=(catatonit containernetworking-plugins debootstrap docker-compose podman runc)
# Debian's and Google's package of kubectl exclude each other, and either will do.
if [[ -z $(command -v kubectl) ]]; then
	packages_static+=(kubernetes-client)
	packages_image+=(kubernetes-client)
fi

install_packages() {
	local group package
	local -a missing=()
	if [[ -z $(command -v apt-get) ]]; then
		say "no Debian: whatever is missing here has to be installed by hand"
		return
	fi
	for group in "$@"; do
		local -n packages=packages_$group
		for package in "${packages[@]}"; do
			[[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
				missing+=("$package")
		done
		if needs_lists "$group" && ((${#missing[@]} == 0)); then
			say "updating the package lists, for the tier $group"
			quietly update_lists
		fi
	done
	if ((${#missing[@]} > 0)); then
		say "installing ${missing[*]}"
		# Lists that cannot be updated may still do; apt-get install has the last word.
		quietly update_lists || say "the package lists could not be updated"
		quietly without_daemons as_root apt_get install --yes --no-install-recommends "${missing[@]}" || return
	fi
	if [[ " $* " == *" base "* ]]; then
		extend_profile usr.lib.ipsec.charon '/etc/ipsec.secrets.d/** r,' '/etc/ipsec.secrets.de/** r,' \
			'/etc/ipsec.config.d/** r,' '/etc/vnf-ipsec/** r,' '/etc/peer/** r,'
		extend_profile usr.sbin.swanctl '/etc/peer/** r,'
	fi
}

install_node_modules() {
	PATH=$PWD/node_modules/.bin:$PATH
	node_modules_are_there && return
	if [[ -z $(command -v npm) ]]; then
		say "npm is missing: install Node 20 or later"
		return 1
	fi
	say "installing node_modules (npm ci)"
	quietly npm ci --no-audit --no-fund
	node_modules_are_there || {
		say "npm ci ran, and node_modules still is not what package-lock.json wants, or has no Node 24"
		return 1
	}
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	elif [[ -n $(command -v sudo) ]]; then
		local -a words=("$@")
		# sudo knows no functions of the shell.
		[[ $(type -t "$1") != function ]] || words=(bash -c "$(declare -f "$1"); \"\$@\"" bash "$@")
		sudo "${words[@]}"
	else
		say "this takes root, and there is no sudo: $*"
		return 77
	fi
}

update_lists() {
	as_root apt_get update
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get --quiet -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# The kernel tier fetches its kernel and libreswan by apt-get download, and an image on Debian is made from the sources that are Debian's.
# Only package lists tell of either.
needs_lists() {
	case $1 in
	kernel) kernel_is_unknown || libreswan_is_unknown ;;
	image) [[ -z $(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian') ]] ;;
	*) return 1 ;;
	esac
}

libreswan_is_unknown() {
	compgen -G '.cache/libreswan/[0-9]*' >/dev/null && return 1
	! apt-cache show libreswan >/dev/null 2>&1
}

kernel_is_unknown() {
	compgen -G '.cache/kernel/linux-image-*' >/dev/null && return 1
	! apt-cache show "linux-image-cloud-$(dpkg --print-architecture)" >/dev/null 2>&1
}

# Debian starts a charon at once, and at every boot. /usr/sbin/policy-rc.d forbids the one, as Debian's policy manual has it
# (invoke-rc.d(8)); the other is taken back, unless strongSwan was there before us.
without_daemons() {
	local policy=/usr/sbin/policy-rc.d ours='' status=0 before
	before=$(dpkg-query --show --showformat='${db:Status-Status}' strongswan-starter 2>/dev/null) || before=
	if [[ ! -e $policy ]]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	"$@" || status=$?
	[[ -z $ours ]] || as_root rm -f "$policy"
	if [[ $before != installed && -d /run/systemd/system ]]; then
		as_root systemctl disable strongswan-starter.service >/dev/null 2>&1 || true
	fi
	return "$status"
}

# Where AppArmor is in force, Debian's profiles of strongSwan know nothing of the folders that the gateway and the tests'
# peers use. Each profile includes a file of its name below /etc/apparmor.d/local for such additions.
extend_profile() {
	local profile=/etc/apparmor.d/$1 addition=/etc/apparmor.d/local/$1 rule changed=''
	shift
	[[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y && -e $profile ]] || return 0
	[[ -n $(command -v apparmor_parser) ]] || return 0
	for rule in "$@"; do
		grep --quiet --fixed-strings --line-regexp "$rule" "$addition" 2>/dev/null && continue
		say "allowing strongSwan in $addition: $rule"
		echo "$rule" | as_root tee --append "$addition" >/dev/null
		changed=yes
	done
	[[ -z $changed ]] || quietly as_root apparmor_parser --replace "$profile"
}

# By content: the times of a fresh clone, of a copy and of `npm install` itself say little.
node_modules_are_there() {
	[[ -e node_modules/.package-lock.json && -x node_modules/.bin/node ]] || return 1
	node_modules/.bin/node --input-type=module --eval '
		import { readFileSync } from "node:fs";
		const packages = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
		const installed = packages("node_modules/.package-lock.json");
		const differs = Object.entries(packages("package-lock.json")).some(([path, wanted]) =>
			path !== "" && (installed[path] === undefined ? !wanted.optional : installed[path].version !== wanted.version));
		process.exit(differs || Number(process.versions.node.split(".")[0]) < 24 ? 1 : 0);
	' >/dev/null 2>&1
}

# Shows what a command says only if it fails.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if ((status != 0)); then
		echo "--- $* ended with $status" >&2
		cat "$log" >&2
	fi
	rm -f "$log"
	return "$status"
}

say() {
	printf '%s: %s\n' "${program:?}" "$*" >&2
}
