# What the suites share.  Each test begins in an empty folder of its own.

bats_require_minimum_version 1.5.0

# Two of three, segments of one stripe: 8176 bytes of input each.
SMALL=(-k 2 -n 3 -b 4k -O payload=4k)
SEGMENT=8176

setup() {
	mkdir "$BATS_TEST_TMPDIR/work" "$BATS_TEST_TMPDIR/tmp"
	cd "$BATS_TEST_TMPDIR/work" || return
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	out=$BATS_TEST_TMPDIR/out
	err=$BATS_TEST_TMPDIR/err
	umask 022
}

# process ROWS SEED [FROM COLUMN SHIFT]: a table of five variables with two slow causes,
# a row every ten seconds; from row FROM on a column is off.
process() {
	awk -v n="$1" -v seed="$2" -v from="${3-0}" -v col="${4-0}" \
	    -v shift="${5-0}" '
	function part() {
		seed = (seed * 1103515245 + 12345) % 2147483648
		return seed / 2147483648
	}
	function noise(  i, s) {
		for (i = 0; i < 12; i++)
			s += part()
		return s - 6
	}
	BEGIN {
		print "time,flow,temp,pressure,level,speed"
		for (i = 1; i <= n; i++) {
			a = 0.8 * a + noise()
			b = 0.6 * b + noise()
			x[1] = 40 + a
			x[2] = 900 + 3 * a + b
			x[3] = 5 - 0.5 * a + 0.2 * b
			x[4] = 70 + b
			x[5] = 1200 + 10 * b - 4 * a
			s = i * 10
			printf "2024-03-%02dT%02d:%02d:%02d", 1 + int(s / 86400),
			    int(s / 3600) % 24, int(s / 60) % 60, s % 60
			if (from > 0 && i >= from)
				x[col] += shift
			for (j = 1; j <= 5; j++)
				printf ",%.3f", x[j] + 0.3 * noise()
			print ""
		}
	}'
}

# expect STATUS COMMAND ...: run it, what it prints into $out and $err.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$out" 2>"$err" || got=$?
	[ "$got" -eq "$want" ] && return
	printf 'status %s, not %s: %s\n' "$got" "$want" "${*@Q}"
	cat "$err"
	return 1
}

# said LINE ...: standard error was just these lines; no LINE: it was empty.
said() {
	if [ $# -eq 0 ]; then
		diff /dev/null "$err"
	else
		printf '%s\n' "$@" | diff - "$err"
	fi
}

# told WORDS: they stand somewhere in standard error.
told() {
	grep -qF -- "$1" "$err" && return
	printf 'not told: %s\n' "$1"
	cat "$err"
	return 1
}

# fails COMMAND ...: its status is not 0.
fails() {
	! "$@"
}

# bytes LEN [SEED]: bytes that do not compress, the same each time.
bytes() {
	head -c "$1" /dev/zero | openssl enc -aes-128-ctr -nosalt \
	    -K "$(printf %032x "${2-1}")" -iv "$(printf %032x 0)"
}

# words LEN: text that compresses.
words() {
	seq -f 'line %09.0f of a text that says little' $((1 + $1 / 30)) |
	    head -c "$1"
}

# flip FILE OFFSET: turn every bit of one byte, in place.
flip() {
	local b
	b=$(od -An -v -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059	# the format is the byte
	printf "\\x$(printf %02x $((b ^ 255)))" |
	    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# put FILE OFFSET HEX: overwrite these bytes, in place.
put() {
	# shellcheck disable=SC2059	# the format is the bytes
	printf "$(sed 's/../\\x&/g' <<<"$3")" |
	    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# patients N SEED: a table of so many; who is ill has a high dose for the age, and
# how many days they stay depends on dose and ward.
patients() {
	awk -v n="$1" -v x="$2" '
	function draw(k) { x = (x * 16807) % 2147483647; return (x % k) }
	BEGIN {
		OFS = ","
		split("north,south", ward, ",")
		ward[3] = "\"east, new\""
		print "age", "dose", "noise", "ward", "state", "days"
		for (i = 0; i < n; i++) {
			age = 20 + draw(60)
			dose = draw(100)
			w = 1 + draw(3)
			odds = dose - age + 30 * (w == 2) + draw(21) - 10
			print age, dose, draw(1000), ward[w],
			    (odds > 0 ? "ill" : "well"),
			    (dose / 4 + 10 * (w == 3) + draw(50) / 10)
		}
	}'
}

# forge FILE INDEX: make the fragment of one stripe in FILE, which is not plain,
# one of another index: the header that anyone can write, no share, no payload.
forge() {
	local n end
	n=$(od -An -tu1 -j 27 -N 1 "$1")
	end=$((96 + 64 * n))
	truncate -s $end "$1"
	put "$1" 57 "$(printf %02x00 "$2")"
	checksum "$1"
	truncate -s $((end + 32)) "$1"
}

# inflate FILE STRIPES BLOCK: make the fragment in FILE, which is not plain and
# has blocks of so many bytes, one whose header tells of more stripes than it had.
inflate() {
	local k n len
	read -r k n <<<"$(od -An -tu1 -j 26 -N 2 "$1")"
	len=$(($2 * (k * $3 - 16)))
	len=$(printf '%02x%02x%02x%02x' $((len & 255)) $((len >> 8 & 255)) \
	    $((len >> 16 & 255)) $((len >> 24)))
	truncate -s 96 "$1"
	put "$1" 48 "$len$len"
	truncate -s $((96 + 32 * n * $2 + 32 * n)) "$1"
	checksum "$1"
	truncate -s $((96 + 32 * n * $2 + 32 * n + 32 + $2 * $3)) "$1"
}

# checksum FILE: FILE is a header without share; make its CRC32C right.
checksum() {
	local c=$((0xffffffff)) b i
	put "$1" 60 00000000
	for b in $(od -An -v -tu1 "$1"); do
		c=$((c ^ b))
		for ((i = 0; i < 8; i++)); do
			c=$((c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1))
		done
	done
	c=$((c ^ 0xffffffff))
	put "$1" 60 "$(printf '%02x%02x%02x%02x' $((c & 255)) \
	    $((c >> 8 & 255)) $((c >> 16 & 255)) $((c >> 24)))"
}

# asleep PID: all of its threads wait for something.
asleep() {
	! cut -d ' ' -f 3 "/proc/$1/task/"*/stat 2>/dev/null | grep -qv S
}

# ended PID: the child has ended.
ended() {
	case $(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null) in
	'' | Z)	;;
	*)	return 1 ;;
	esac
}

# heeds COMMAND ...: SIGTERM ends it though nobody reads its output.
heeds() {
	local pid status=0
	mkfifo stalled
	"$@" >stalled 2>"$err" 3>&- &
	pid=$!
	exec 8<stalled
	[ "$(head -c 1 <&8 | wc -c)" -eq 1 ]
	until_true asleep $pid
	kill -TERM $pid
	until_true ended $pid || kill -KILL $pid
	wait $pid || status=$?
	exec 8<&-
	rm stalled
	[ $status -eq 143 ] && return
	printf 'status %s: %s\n' $status "$*"
	return 1
}

# until_true COMMAND ...: try again for a while.
until_true() {
	local i
	for ((i = 0; i < 3000; i++)); do
		"$@" && return
		sleep 0.01
	done
	printf 'never came true: %s\n' "$*"
	return 1
}

# mute N: N sockets that accept and never answer; their ports to ports, the pid in
# $MUTE, to be killed.
mute() {
	python3 - "$1" 3>&- <<-'EOF' &
	import os, signal, socket, sys
	s = [socket.create_server(("127.0.0.1", 0)) for i in range(int(sys.argv[1]))]
	with open("ports.new", "w") as f:
	    for x in s:
	        f.write("%d\n" % x.getsockname()[1])
	os.rename("ports.new", "ports")
	signal.pause()
	EOF
	MUTE=$!
	until_true [ -s ports ]
}

# keys: signer and recipient, and another of each.
keys() {
	local k
	for k in sign other; do
		openssl genpkey -algorithm ed25519 -out $k.pem
		openssl pkey -in $k.pem -pubout -out $k.pub
	done
	for k in anna boris; do
		openssl genpkey -algorithm X25519 -out $k.pem
		openssl pkey -in $k.pem -pubout -out $k.pub
	done
}

# fixed SEED COMMAND ...: gefrag as tests link it, its random stream fixed.
fixed() {
	local seed=$1
	shift
	GE_TEST_SEED=$seed "$GE_BUILD/fixed/$1" "${@:2}"
}

# tree DIR: all names and contents below it, to compare.
tree() {
	(cd "$1" && find . -type f -exec cksum {} + | sort -k 3 &&
	    find . ! -type f | sort)
}

# on_terminal COMMAND-LINE: run it with a terminal for standard descriptors.
on_terminal() {
	script -qec "$1" /dev/null </dev/null
}

# answers PROGRAM [FAMILY]: what all of the programs do alike.
answers() {
	local o
	expect 0 "$1" --help
	said
	[ "$(sed -n 1p "$out" | cut -d ' ' -f 1-2)" = "usage: $1" ]
	expect 0 "$1" --version
	said
	grep -qx "$1 (getools) [0-9.]*" "$out"
	expect 1 bash -c "$1 --version >/dev/full"
	said "$1: cannot write standard output: No space left on device"
	expect 1 bash -c "$1 --help >&-"
	for o in -X -Zz --nonsense --help=x -j -O; do
		expect 2 "$@" "$o"
		grep -q "^usage: $1" "$err"
		[ ! -s "$out" ]
	done
	for o in 0 65 -1 '' 2x 99999999999; do
		expect 2 "$@" -j "$o"
		said "$1: -j '$o': not a number from 1 to 64"
	done
	for o in nonsense =x Set=1 ''; do
		expect 2 "$@" -O "$o"
		said "$1: -O '$o': no such option"
	done
}
