# What the servers have in common.  A script that reads this defines
#
#	have		print what is missing, or nothing
#	prepare		once, before the first start: keys, folders
#	launch I ...	start these sites, each writing $dir/I/pid; 75: a port was
#			taken, others should be tried
#	ready I		does site I take connections?
#	line I		its line of `list`
#
# and calls `serve "$@"`.  Site I lives in DIR/I; DIR/n is how many there are.
#
# In the environment of `start`, and remembered in DIR/conf:
#	GE_NETNS=DIR	of tests/servers/netns: site I gets the address of host I
#	GE_TLS=DIR	of tests/servers/ca: TLS, where there is a choice

here=$(dirname "$(realpath "$0")")
me=${0##*/}

die() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

# Debian keeps servers where not everybody looks.
PATH=$PATH:/usr/sbin:/sbin

# missing PROGRAM ...: those that are not there.
missing() {
	local p
	for p; do
		command -v "$p" >/dev/null || printf '%s\n' "$p"
	done
}

# alive PID: it runs, and its command line names our folder.
alive() {
	[ -n "$1" ] || return
	tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null |
	    grep -qE -e "(^|[ =])$dir([/ ]|$)"
} 2>/dev/null

# pid I: of its process, if it runs.
pid() {
	local p
	p=$(cat "$dir/$1/pid" 2>/dev/null) && alive "$p" && echo "$p"
}

# children PID: all below it.
children() {
	local c
	for c in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		echo "$c"
		children "$c"
	done
}

# signal NAME I: to its process and to what that started.
signal() {
	local p
	p=$(pid "$2") || return
	# shellcheck disable=SC2046	# a list of numbers
	kill "-$1" "$p" $(children "$p") 2>/dev/null
	return 0
}

# try COMMAND ...: again and again, some ten seconds.
try() {
	local i
	for ((i = 0; i < 500; i++)); do
		"$@" && return
		sleep 0.02
	done
	return 1
}

gone() {
	! alive "$1"
}

# end SIGNAL I: send it and see the process out.
end() {
	local p
	if p=$(pid "$2"); then
		signal CONT "$2"
		signal "$1" "$2"
		if ! try gone "$p"; then
			signal KILL "$2"
			try gone "$p" || die "site $2 (process $p) does not end"
		fi
	fi
	rm -f "$dir/$2/pid"
}

# address I: where site I listens.
address() {
	if [ -n "$netns" ]; then
		echo "10.77.0.$1"
	else
		echo 127.0.0.1
	fi
}

# at I COMMAND ...: at the host of site I.  client COMMAND ...: where clients are.
at() {
	local i=$1
	shift
	if [ -n "$netns" ]; then
		"$here/netns" at "$netns" "$i" "$@"
	else
		"$@"
	fi
}

client() {
	if [ -n "$netns" ]; then
		"$here/netns" client "$netns" "$@"
	else
		"$@"
	fi
}

# background I LOG COMMAND ...: in a session of its own, and remember its pid.
background() {
	local i=$1 log=$2 c
	shift 2
	c=("$@")
	[ -z "$netns" ] || c=("$here/netns" at "$netns" "$i" "$@")
	setsid "${c[@]}" </dev/null >>"$log" 2>&1 &
	echo $! >"$dir/$i/pid"
}

begin() {
	local i
	launch "$@" || return
	for i; do
		if ! try ready "$i"; then
			die "site $i does not start: see $dir/$i"
		fi
	done
}

serve() {
	local command=${1-} i t
	# Nothing of the caller's stays open.
	exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	if [ "$command" = have ]; then
		have
		return
	fi
	dir=${2-}
	case $command in
	start | stop | kill | begin | freeze | thaw | list) ;;
	*)	dir= ;;
	esac
	if [ -z "$dir" ]; then
		cat >&2 <<-END
		usage: $me have
		       $me start DIR [N]
		       $me stop|list DIR
		       $me kill|begin|freeze|thaw DIR I
		END
		exit 2
	fi
	dir=$(realpath -m "$dir")
	case $dir in
	*[!A-Za-z0-9/._-]*)
		die "'$dir': a plain name is needed" ;;
	esac
	if [ "$command" = start ]; then
		t=$(have)
		[ -z "$t" ] || die 'not installed:' $t
		n=${3-9}
		netns=${GE_NETNS:+$(realpath "$GE_NETNS")}
		tls=${GE_TLS:+$(realpath "$GE_TLS")}
		for ((i = 1; i <= n; i++)); do
			mkdir -p "$dir/$i" || exit 1
		done
		printf 'n=%s netns=%q tls=%q\n' "$n" "$netns" "$tls" \
		    >"$dir/conf"
	else
		[ -e "$dir/conf" ] || die "'$dir': nothing was started there"
		. "$dir/conf"
	fi
	case $command in
	kill | begin | freeze | thaw)
		i=${3-}
		[ -d "$dir/$i" ] && [ -n "$i" ] || die "no site '$i'" ;;
	esac
	case $command in
	start)
		umask 077
		trap halt EXIT		# of a start that fails nothing stays
		prepare || die "cannot prepare '$dir'"
		# A port may be taken between looking and binding.
		for t in 1 2 3 4 5; do
			begin $(seq "$n")
			case $? in
			0)	break ;;
			75)	for ((i = 1; i <= n; i++)); do
					end KILL "$i"
					rm -f "$dir/$i/port" "$dir/$i/plain"
				done ;;
			*)	break ;;
			esac
		done
		for ((i = 1; i <= n; i++)); do
			pid "$i" >/dev/null || die "site $i does not run"
		done
		finish || die 'cannot finish the start'
		trap - EXIT ;;
	begin)	pid "$i" >/dev/null || begin "$i" || die "site $i: no start" ;;
	kill)	end KILL "$i" ;;
	freeze)	signal STOP "$i" ;;
	thaw)	signal CONT "$i" ;;
	stop)	halt ;;
	list)	for ((i = 1; i <= n; i++)); do
			line "$i"
		done ;;
	esac
}

# What a server may define otherwise.
finish() {
	:
}

halt() {
	local i
	for ((i = 1; i <= n; i++)); do
		signal CONT "$i"
		signal TERM "$i"
	done
	for ((i = 1; i <= n; i++)); do
		end TERM "$i"
	done
}
