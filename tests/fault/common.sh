# shellcheck shell=bash
# What the fault suites share: small sets, the main scenarios of each program,
# and what one may leave behind.  bash, for it starts few processes.
#
# A suite defines one(), which runs the scenario in $scenario and prints TAP
# lines, and ends with `scenarios NAME ...`.
set -u
shopt -s dotglob nullglob
export LC_ALL=C OPENSSL_CONF=/dev/null GE_TEST_SEED=fault
unset LD_PRELOAD GE_FAILALLOC FAILMALLOC FAILMALLOC_LIST

build=${GE_BUILD:-$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)/build}
bin=$build/bin
fixed=$build/fixed
sysfault=$build/fault/sysfault
notmpfile=$build/fault/notmpfile.so
failmalloc=$build/fault/failmalloc.so
[ -x "$sysfault" ] && [ -x "$fixed/gefrag" ] || {
	echo "not ok $0: '$build' is not built"
	exit 1
}
names=$(<"$build/fault/names.h")

# scenarios NAME ...: one() for each, as many at once as there are processors;
# or, called again as "suite -s NAME", for that one.
scenarios() {
	local name jobs running=0 failed=0 top words=()
	if [ "${asked[0]-}" = -s ]; then
		scenario=${asked[1]}
		world
		one
		exit
	fi
	for name; do
		[ ${#asked[@]} -eq 0 ] || [[ " ${asked[*]} " == *" $name "* ]] &&
			words+=("$name")
	done
	# Much of the time goes into waiting for fsync.
	jobs=$((2 * $(nproc)))
	top=$(mktemp -d) || exit 1
	# shellcheck disable=SC2064
	trap "rm -rf '$top'" EXIT
	trap 'exit 1' HUP INT TERM
	for name in "${words[@]}"; do
		if [ $((running++)) -ge "$jobs" ]; then
			wait -n
		fi
		TMPDIR=$top timeout 900 "$0" -s "$name" >"$top/$name" 2>&1 ||
			echo "not ok $name: ended with status $?" \
			    >>"$top/$name" &
	done
	wait
	for name in "${words[@]}"; do
		cat "$top/$name"
		grep -q '^not ok' "$top/$name" && failed=1
	done
	exit $failed
}
asked=("$@")

# world: a folder to work in, the input and the sets that are right.
world() {
	W=$(mktemp -d) || exit 1
	trap 'rm -rf "$W"' EXIT
	trap 'echo "not ok $scenario: hangs at $point"; exit 1' TERM
	trap 'exit 1' HUP INT
	point=start
	cd "$W" || exit 1
	mkdir tmp o
	export TMPDIR=$W/tmp
	set -e
	openssl genpkey -algorithm X25519 -out x.pem 2>/dev/null
	openssl pkey -in x.pem -pubout -out x.pub
	openssl genpkey -algorithm ED25519 -out e.pem 2>/dev/null
	openssl pkey -in e.pem -pubout -out e.pub
	# Three segments, the last one shorter.
	awk 'BEGIN { while (n < 20000) {
		s = sprintf("%d %d\n", i++, (i * 7919) % 10007)
		n += length(s); printf "%s", s } }' | head -c 20000 >in
	F=(-q -j1 -k2 -n3 -b4k -O payload=4k)
	"$fixed/gefrag" "${F[@]}" in >ref.st
	"$fixed/gefrag" "${F[@]}" -d ref in
	ids=(ref/*)
	id=${ids[0]#ref/}
	GE_TEST_SEED=again "$fixed/gefrag" "${F[@]}" -d again in
	set +e
}

# sound DIR RIGHT: every file of the set in DIR is the same in RIGHT.
sound() {
	local f
	for f in "$1/$id"/*; do
		cmp -s "$f" "$2/$id/${f##*/}" || {
			why="'${f##*/}' is torn"
			return 1
		}
	done
}

# Each kind of scenario has four functions: reset, bring everything back to how
# it was; good, is the result right?; clean, may this stay after a failure?;
# kept, is all of this whole, now that it was killed?  They say why not.

# A product on standard output.
stdout_reset() { :; }
stdout_good() { cmp -s out "$want" || { why='wrong output'; false; }; }
stdout_clean() { :; }
stdout_kept() { :; }

# A product in the file o/O.
echo_old='what was there'
file_reset() {
	rm -f o/*
	if [ -n "$old" ]; then echo "$echo_old" >o/O; fi
}
file_good() {
	cmp -s o/O "$want" || { why='wrong output'; return 1; }
	file_alone
}
file_alone() {
	local f
	for f in o/*; do
		[ "$f" = o/O ] || excused "$f" || {
			why="'$f' stays"
			return 1
		}
	done
}
file_whole() {
	if [ -n "$old" ]; then
		echo "$echo_old" | cmp -s - o/O && return
	else
		[ ! -e o/O ] && return
	fi
	cmp -s o/O "$want" || { why='a torn file'; false; }
}
file_clean() { file_whole && file_alone; }
file_kept() { file_whole && file_alone; }

# excused FILE: one with a temporary name, after SIGKILL, where unlink failed or
# where libarchive ended the program.
excused() {
	case ${1##*/}/$call in
	.*.tmp/killed | .*.tmp/unlink | .*.tmp/unlinkat) ;;
	.*.tmp/)
		[ -n "$library" ] &&
		    [[ $(<err) == 'Fatal Internal Error in libarchive'* ]] ;;
	*)	false ;;
	esac
}

# same LINE-OF-DIFF: is this difference to what is right one of a fragment that
# is not there, or of a name that is excused?
same() {
	case $1 in
	"Only in $want"[:/]*) ;;
	"Only in D/$id: "*)
		excused "${1##* }" ;;
	*)	false ;;
	esac
}

# differences DIR: between D and DIR, a line each.
differences() {
	mapfile -t lines < <(diff -rq D "$1" 2>/dev/null)
}

# A set in the folder D.
dir_reset() { rm -rf D; }
dir_good() {
	local line lines
	differences "$want"
	for line in "${lines[@]}"; do
		[[ $line != "Only in $want"* ]] && same "$line" && continue
		why=$line
		return 1
	done
	[ -e D ]
}
dir_clean() {
	local left=(D/*)
	[ ${#left[@]} -eq 0 ] && return
	# Unless the very removal was made to fail, or closing standard output.
	case $call in
	close)	dir_good ;;
	unlink | unlinkat | rmdir)
		dir_kept ;;
	*)	why='fragments stay'
		false ;;
	esac
}
dir_kept() {
	local line lines
	[ -e D ] || return 0
	differences "$want"
	for line in "${lines[@]}"; do
		same "$line" || { why=$line; return 1; }
	done
}

# A set D in need of repair: 0.00 is missing, 1.01 is damaged, something else is
# called 2.02.  D.bad is that, D.good the same repaired.
F0=0000000000.00.gef F1=0000000001.01.gef F2=0000000002.02.gef
repair_make() {
	cp -r ref D.bad
	cp -r ref D.good
	printf XXX | dd of="D.bad/$id/$F1" bs=1 seek=5000 conv=notrunc \
	    status=none
	if [ -n "$blind" ]; then return; fi
	rm "D.bad/$id/$F0"
	echo something else >"D.bad/$id/$F2"
	cp "D.bad/$id/$F2" "D.good/$id/$F2.bad"
}
repair_reset() {
	rm -rf D
	cp -r D.bad D
}
repair_good() {
	local line lines
	differences D.good
	for line in "${lines[@]}"; do
		case $line in
		"Only in D/$id: "*)
			excused "${line##* }" && continue
			aside "${line##* }" && continue ;;
		esac
		why=$line
		return 1
	done
}
# aside NAME.bad: what could not be read, and was rebuilt.
aside() {
	local name=${1%.bad}
	[ "$name" != "$1" ] && cmp -s "D/$id/$1" "D.bad/$id/$name"
}
# Each fragment is whole or what it was, and each that was good is.
repair_kept() {
	local line lines name
	differences D.good
	for line in "${lines[@]}"; do
		name=${line##* }
		case $line in
		"Only in D/$id: "*)
			excused "$name" && continue
			aside "$name" && continue ;;
		"Only in D.good/$id: $F0")
			continue ;;
		"Only in D.good/$id: $F2.bad")
			cmp -s "D/$id/$F2" "D.bad/$id/$F2" && continue ;;
		"Only in D.good/$id: "*)
			# Put aside, and the new one has not come.
			aside "$name.bad" && continue ;;
		"Files D/$id/"*)
			name=${line#Files D/"$id"/}
			name=${name%% *}
			cmp -s "D/$id/$name" "D.bad/$id/$name" && continue
			# Rebuilt without its share; the old one is there.
			[ -n "$blind" ] && aside "$name.bad" &&
				[ "$(cmp -l "D/$id/$name" "D.good/$id/$name" |
				    wc -l)" -le $((32 + 5)) ] && continue ;;
		esac
		why=$line
		return 1
	done
}
repair_clean() { repair_kept; }

# scene: set what runs in $scenario, and what is right.
#	cmd, prog, input	the command and its standard input
#	kind, want		of the functions above, and what they compare
#	quiet			-q: one message and nothing else
#	may			statuses it may fail with besides 1
#	preload			a library to load
#	library			if set, a library may end the program
scene() {
	local name=$scenario jobs=-j1
	input=/dev/null old='' blind='' quiet=1 preload='' may='' call='' why='' library=''
	case $name in
	*-j2)	jobs=-j2
		name=${name%-j2} ;;
	esac
	case $name in
	*-named)
		preload=$notmpfile
		name=${name%-named} ;;
	esac
	case $name in
	*-over)	old=1
		name=${name%-over} ;;
	esac
	case $name in
	frag*)	prog=gefrag kind=stdout want=ref.st
		cmd=("$fixed/gefrag" "${F[@]}" "$jobs") ;;
	join*)	prog=gejoin kind=stdout want=in
		cmd=("$bin/gejoin" -q "$jobs") ;;
	verify*)
		prog=geverify kind=stdout want=ref.report quiet=
		cmd=("$bin/geverify" -v "$jobs") ;;
	repair*)
		prog=gerepair kind=repair want=ref
		cmd=("$bin/gerepair" -q "$jobs") ;;
	esac
	set -e
	case $name in
	frag-stream)
		input=in ;;
	frag-dir)
		kind=dir want=ref
		cmd+=(-d D in) ;;
	frag-file)
		kind=file
		cmd+=(${old:+-f} -o o/O in) ;;
	frag-deflate)
		want=want
		cmd+=(-z in) ;;
	frag-recipient)
		want=want
		cmd+=(-r x.pub in) ;;
	frag-signed)
		kind=dir want=want
		cmd+=(-S e.pem -d D in) ;;
	join-dir)
		cmd+=(ref) ;;
	join-file)
		kind=file
		cmd+=(${old:+-f} -o o/O ref) ;;
	join-stream)
		cmd+=(ref.st) ;;
	join-shuffled)
		(cd ref && printf '%s\n' "$id"/* | sort -r |
		    tar -cf ../shuffled.st -T -)
		input=shuffled.st ;;
	join-deflated)
		"$fixed/gefrag" "${F[@]}" -z in >deflated.st
		cmd+=(deflated.st) ;;
	join-keys)
		"$fixed/gefrag" "${F[@]}" -S e.pem -r x.pub in >keys.st
		cmd+=(-V e.pub -i x.pem keys.st) ;;
	join-range)
		want=part
		tail -c +8001 in | head -c 4000 >part
		cmd+=(-R 8000:4000 ref) ;;
	verify-dir)
		cmd+=(ref)
		"${cmd[@]}" >ref.report 2>/dev/null ;;
	verify-stream)
		input=ref.st
		"${cmd[@]}" <ref.st >ref.report 2>/dev/null ;;
	repair-dir)
		cmd+=(D) ;;
	repair-report)
		repair_make
		"$bin/geverify" -q D.bad >report 2>/dev/null || :
		input=report
		cmd+=(D) ;;
	repair-blind)
		blind=1
		cmd+=(-O blind D) ;;
	*)	echo "not ok $scenario: no such scenario"
		exit 1 ;;
	esac
	if [ $kind = repair ] && [ ! -e D.bad ]; then repair_make; fi
	case $want in
	want)	# The way without a fault is trusted, and joined to be sure.
		if [ $kind = dir ]; then
			"${cmd[@]}"
			mv D want
		else
			"${cmd[@]}" >want
		fi
		"$bin/gejoin" -q -i x.pem want | cmp - in ;;
	esac
	set +e
}

# run COMMAND: the scenario's, by means of COMMAND; its status is in $status.
run() {
	"${kind}_reset"
	rm -rf tmp/*
	: >hit
	LD_PRELOAD=$preload "$@" "${cmd[@]}" <"$input" >out 2>err
	status=$?
	call=
	read -r _ call <hit
}

# complaint: what standard error holds is what it should, for $status.
complaint() {
	local line lines
	[ "$status/$call" = 0/write ] && return
	mapfile -t lines <err
	for line in "${lines[@]}"; do
		case $line in
		"$prog: "*) ;;
		'Fatal Internal Error in libarchive: '*)
			# It ends the program, with status 1.
			[ -n "$library" ] || { why=$line; return 1; } ;;
		*)	why="says '$line'"
			return 1 ;;
		esac
	done
	[ "$status" -eq 0 ] && return
	if [ ${#lines[@]} -eq 0 ]; then
		why='says nothing'
	elif [ -n "$quiet" ] && [ ${#lines[@]} -gt 1 ]; then
		why="says ${#lines[@]} lines"
	else
		return 0
	fi
	return 1
}

# judge: is what the failed call led to allowed?
judge() {
	local left
	why=
	case $status in
	0)	"${kind}_good" || return 1
		case $call in
		fsync | fdatasync)
			why="a failed $call went unnoticed"
			return 1 ;;
		esac ;;
	1)	"${kind}_clean" || return 1 ;;
	2)	# A file that the user named cannot be opened.
		case $(<err) in
		"$prog: cannot open '"* | "$prog: 'ref': "* | \
		    "$prog: 'D': "* | "$prog: '"*.st"': "*) ;;
		*)	why="status 2: $(<err)"
			return 1 ;;
		esac
		"${kind}_clean" || return 1 ;;
	134)	# OpenSSL ends the program so.
		[ -n "$library" ] && [[ $(<err) == *'assertion failed'* ]] || {
			why="status $status: $(<err)"
			return 1
		}
		"${kind}_clean"
		return ;;
	*)	[[ " $may " == *" $status "* ]] || {
			why="status $status: $(<err)"
			return 1
		}
		"${kind}_clean" || return 1 ;;
	esac
	left=(tmp/*)
	[ ${#left[@]} -eq 0 ] || [ "$call" = unlink ] || {
		why="temporary files stay: ${left[*]}"
		return 1
	}
	complaint
}

# bad WHAT: note a fault that was not borne; verdict NAME N: the line for N.
nbad=0
bad() {
	[ $((nbad++)) -lt 10 ] && echo "# $scenario: $1: $why"
}
verdict() {
	if [ $nbad -eq 0 ]; then
		echo "ok $scenario: $1 ($2 faults)"
	else
		echo "not ok $scenario: $1 ($nbad of $2 faults)"
	fi
	nbad=0
}

# these NAME,...: those system calls that this machine has.
these() {
	local name list=
	for name in ${1//,/ }; do
		[[ $names == *"\"$name\""* ]] && list=$list,$name
	done
	echo "${list#,}"
}
