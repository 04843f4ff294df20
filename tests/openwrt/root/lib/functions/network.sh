# Stands in for netifd's answers: lines `LOGICAL DEVICE` of /tmp/network are what is up.
# shellcheck shell=dash

network_get_device() {
	local found
	case "$2" in
	# The real one makes variables of such names.
	*[!A-Za-z0-9_]*) echo "network_get_device: $2" >>/tmp/unsafe; return 1 ;;
	esac
	found=$(sed -n "s/^$2 //p" /tmp/network 2>/dev/null)
	eval "$1=\$found"
	[ -n "$found" ]
}
