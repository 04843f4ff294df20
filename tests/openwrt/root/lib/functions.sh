# Stands in for OpenWrt's library of that name, as far as packages and services use it: reading
# UCI, and what the scripts of packages call. Written after its documentation, not after its text.
# shellcheck shell=dash disable=SC2154

config_load() {
	local text result name
	for name in $CONFIG_KNOWN; do unset "CONFIG_$name"; done
	CONFIG_KNOWN='' CONFIG_SECTIONS='' CONFIG_SECTION=''
	text=$(uci export "$1" 2>/dev/null)
	result=$?
	[ $result != 0 ] || eval "$text"
	return $result
}

package() { :; }

config() {
	CONFIG_SECTION=$2
	CONFIG_SECTIONS="$CONFIG_SECTIONS $2"
	config_set "$2" TYPE "$1"
}

option() { config_set "$CONFIG_SECTION" "$1" "$2"; }

list() {
	local length joined
	config_get length "$CONFIG_SECTION" "$1_LENGTH" 0
	config_get joined "$CONFIG_SECTION" "$1"
	length=$((length + 1))
	config_set "$CONFIG_SECTION" "$1_ITEM$length" "$2"
	config_set "$CONFIG_SECTION" "$1_LENGTH" "$length"
	config_set "$CONFIG_SECTION" "$1" "${joined:+$joined }$2"
}

config_set() {
	CONFIG_KNOWN="$CONFIG_KNOWN $1_$2"
	eval "CONFIG_$1_$2=\$3"
}

config_get() {
	case "$2$3" in
	*[!A-Za-z0-9_]*) ;;
	*) eval "$1=\${CONFIG_$2_$3:-\$4}" ;;
	esac
}

config_get_bool() {
	local is
	config_get is "$2" "$3" "$4"
	case "$is" in
	1 | on | true | yes | enabled) is=1 ;;
	0 | off | false | no | disabled) is=0 ;;
	*) is=$4 ;;
	esac
	eval "$1=\$is"
}

config_foreach() {
	local call="$1" wanted="$2" at of
	shift 2
	for at in $CONFIG_SECTIONS; do
		config_get of "$at" TYPE
		[ "$of" != "$wanted" ] || "$call" "$at" "$@"
	done
}

config_list_foreach() {
	local at="$1" name="$2" call="$3" length item=1 value
	shift 3
	config_get length "$at" "${name}_LENGTH" 0
	while [ "$item" -le "$length" ]; do
		config_get value "$at" "${name}_ITEM$item"
		"$call" "$value" "$@"
		item=$((item + 1))
	done
}

# The files of a package: opkg's list, or the one that apk packages bring.
_files() {
	cat "/usr/lib/opkg/info/$1.list" 2>/dev/null || cat "/lib/apk/packages/$1.list" 2>/dev/null
}

add_group_and_user() { :; }

default_postinst() {
	local name="$pkgname" script result=0
	[ -n "$name" ] || name=$(basename "${1%.*}")
	rm -f /tmp/luci-indexcache.*
	if [ -f "/usr/lib/opkg/info/$name.postinst-pkg" ]; then
		# shellcheck source=/dev/null
		(. "/usr/lib/opkg/info/$name.postinst-pkg")
		result=$?
	fi
	for script in $(_files "$name" | grep '^/etc/init.d/'); do
		[ "$PKG_UPGRADE" = 1 ] || "$script" enable
		"$script" start
	done
	return $result
}

default_prerm() {
	local name="$pkgname" script
	[ -n "$name" ] || name=$(basename "${1%.*}")
	for script in $(_files "$name" | grep '^/etc/init.d/'); do
		[ "$PKG_UPGRADE" = 1 ] || "$script" disable
		"$script" stop
	done
}
