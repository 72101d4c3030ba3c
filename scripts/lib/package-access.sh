# shellcheck shell=bash
# How this host reaches sources of packages, for use elsewhere. To be sourced, after install.sh.
#
#   collect_package_access FOLDER   writes apt.conf, sources.list, npmrc and ca.pem, as far as there is anything to tell;
#                                   they are for a build, which sees them in /run/secrets
#   debian_sources SUITE            Debian's package sources, in the form of sources.list(5)

collect_package_access() {
	local folder=$1 certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
	# Passwords may be among it.
	(umask 077 && mkdir "$folder")
	[[ ! -r $certificates ]] || cp "$certificates" "$folder/ca.pem"
	if [[ -n $(command -v apt-config) ]]; then
		collect_apt "$folder"
	fi
	if [[ -n $(command -v npm) ]]; then
		collect_npm >"$folder/npmrc"
	fi
}

collect_apt() {
	local folder=$1 secrets=/run/secrets
	debian_sources bookworm >"$folder/sources.list"
	{
		# Programs and files of this host that are named there are not to be had elsewhere.
		apt-config dump Acquire | grep -E '^Acquire::(https?|Check-|Allow|Retries|ForceIPv)' | grep -v '"/\|""'
		[[ ! -e $folder/ca.pem ]] || echo "Acquire::https::CaInfo \"$secrets/ca.pem\";"
		# Otherwise an account that may not read the certificates.
		echo 'APT::Sandbox::User "root";'
	} >"$folder/apt.conf"
}

# Registries, and how they are reached; not where this host keeps files.
collect_npm() {
	local file
	for file in "$(npm_setting globalconfig)" "$(npm_setting userconfig)"; do
		[[ ! -r $file ]] || grep -E '^[^;#=]*(registry|_auth|_authToken|_password|username|proxy|strict-ssl)[^=]*=' "$file" || true
	done
	echo "registry=$(npm_setting registry)"
}

# Another node on the search path than the one that npm came with would have npm look elsewhere for its settings.
npm_setting() {
	PATH=${PATH//"$PWD/node_modules/.bin:"/} npm config get "$1" 2>/dev/null
}

debian_sources() {
	apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" 'Created-By: Packages' 'Origin: Debian' |
		grep " $1" | sort -u || true
}
