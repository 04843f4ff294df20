# Stands in for procd: writes down in /tmp/procd what services ask of it, does what it would do
# (in /tmp/procd/log), and runs the instance if /tmp/procd/really is there.
# shellcheck shell=dash

_P=/tmp/procd
mkdir -p "$_P"

_say() { echo "$*" >>"$_P/log"; }

# _note FILE WORDS: a line with each word in brackets, so that it is seen where they end.
_note() {
	local file="$1" word line=''
	shift
	for word in "$@"; do line="${line}[$(printf '%s' "$word" | tr '\n' '~')]"; done
	echo "$line" >>"$_P/$file"
}

procd_open_service() {
	_service=$1
	rm -f "$_P/$1.new" "$_P/$1.triggers" "$_P/$1.schema"
	: >"$_P/$1.triggers"
}

procd_open_instance() { : >"$_P/$_service.new"; }
procd_close_instance() { :; }
procd_set_param() { _note "$_service.new" "$@"; }
procd_append_param() { _note "$_service.new" "$@"; }
procd_add_jail() { _note "$_service.new" jail "$@"; }
procd_add_jail_mount() { _note "$_service.new" mount "$@"; }
procd_add_jail_mount_rw() { _note "$_service.new" mount_rw "$@"; }
procd_add_reload_trigger() { _note "$_service.triggers" config "$@"; }
procd_add_reload_interface_trigger() { _note "$_service.triggers" interface "$@"; }

procd_add_validation() { "$@"; }

json_add_object() { [ "$1" = data ] || _schema=''; }
json_add_string() {
	case "$1" in
	package) _schema=$2 ;;
	type) _schema="$_schema.$2" ;;
	*) echo "$_schema.$1 $2" >>"$_P/$_service.schema" ;;
	esac
}
json_close_object() { :; }

procd_close_service() {
	service_triggers
	if [ ! -f "$_P/$_service.new" ]; then
		procd_kill "$_service"
	elif ! procd_running "$_service"; then
		mv "$_P/$_service.new" "$_P/$_service.instance"
		_run start
	elif ! cmp -s "$_P/$_service.new" "$_P/$_service.instance"; then
		_end "$_service"
		mv "$_P/$_service.new" "$_P/$_service.instance"
		_run restart
	else
		rm -f "$_P/$_service.new"
	fi
}

_run() {
	local command
	_say "$1 $_service"
	if [ ! -e "$_P/really" ]; then
		echo 0 >"$_P/$_service.pid"
		return 0
	fi
	command=$(sed -n 's/^\[command\]\[\(.*\)\]$/\1/p' "$_P/$_service.instance" | sed 's/\]\[/ /g')
	# shellcheck disable=SC2086
	setsid $command >>"$_P/$_service.output" 2>&1 </dev/null &
	echo $! >"$_P/$_service.pid"
}

_end() {
	local pid
	pid=$(cat "$_P/$1.pid" 2>/dev/null)
	[ -z "$pid" ] || [ "$pid" = 0 ] || {
		kill "$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do usleep 10000; done
	}
	rm -f "$_P/$1.pid"
}

procd_running() {
	local pid
	pid=$(cat "$_P/$1.pid" 2>/dev/null)
	[ -n "$pid" ] || return 1
	[ "$pid" = 0 ] || kill -0 "$pid" 2>/dev/null
}

procd_kill() {
	[ ! -f "$_P/$1.pid" ] || _say "stop $1"
	_end "$1"
	rm -f "$_P/$1.instance" "$_P/$1.triggers" "$_P/$1.schema"
}

procd_send_signal() {
	local pid
	_say "signal $1 $2 $3"
	pid=$(cat "$_P/$1.pid" 2>/dev/null)
	[ -z "$pid" ] || [ "$pid" = 0 ] || kill "-$3" "$pid"
}

uci_validate_section() {
	local package="$1" type="$2" section="$3" result text
	shift 3
	text=$(/sbin/validate_data "$package" "$type" "$section" "$@" 2>/dev/null)
	result=$?
	eval "$text"
	[ $result = 0 ] || /sbin/validate_data "$package" "$type" "$section" "$@" >/dev/null
	return $result
}

uci_load_validate() {
	local _package="$1" _type="$2" _section="$3" _call="$4" _spec _result
	shift 4
	for _spec in "$@"; do eval "local ${_spec%%:*}"; done
	uci_validate_section "$_package" "$_type" "$_section" "$@"
	_result=$?
	[ -n "$_call" ] || return $_result
	"$_call" "$_section" "$_result"
}
