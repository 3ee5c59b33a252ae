load helper

HEADER=$'#status\tset\tsegment\tindex\tsite\tdetail'

# set_of DIR: a small set of the file in.
set_of() {
	[ -e in ] || bytes 20000 >in
	gefrag "${SMALL[@]}" -d "$1" in
}

# reported LINE ...: the report was its header and these lines, the columns
# separated by blanks; - for the set.
reported() {
	[ "$(sed -n 1p "$out")" = "$HEADER" ]
	[ -z "$(awk -F '\t' 'NF != 6' "$out")" ]
	sed 1d "$out" | awk -F '\t' '{ $2 = "-"; print }' >"$out.lines"
	if [ $# -eq 0 ]; then
		diff /dev/null "$out.lines"
	else
		printf '%s\n' "$@" | diff - "$out.lines"
	fi
}

@test "geverify: --help, --version and wrong options are answered" {
	answers geverify
	expect 2 geverify -R 0:1
	grep -qx 'geverify: -R: no such option' "$err"
}

@test "geverify: a number out of its range is refused and named" {
	while IFS='|' read -r opt arg line; do
		expect 2 geverify "$opt" "$arg" .
		said "geverify: $line"
		[ ! -s "$out" ]
	done <<-'END'
	-c|0|-c '0': not a number from 0.5 to 0.999999999
	-c|1|-c '1': not a number from 0.5 to 0.999999999
	-c|x|-c 'x': not a number from 0.5 to 0.999999999
	-c||-c '': not a number from 0.5 to 0.999999999
	-c|nan|-c 'nan': not a number from 0.5 to 0.999999999
	-c|0.9999x|-c '0.9999x': not a number from 0.5 to 0.999999999
	-O|afr=1|afr '1': not a number from 0 to 0.99
	-O|afr=-0.1|afr '-0.1': not a number from 0 to 0.99
	-O|afr|afr '': not a number from 0 to 0.99
	-O|common=2|common '2': not a number from 0 to 0.99
	-O|repair-days=0|repair-days '0': not a number from 0.01 to 365
	-O|repair-days=inf|repair-days 'inf': not a number from 0.01 to 365
	-O|loss=0|loss '0': not a number from 1e-09 to 0.5
	-O|set=1|set '1': not 32 lower-case hex digits
	-O|digest=1|digest '1': not 64 lower-case hex digits
	-O|alone=1|-O 'alone=1': no such option
	-O|blind=|-O 'blind=': no such option
	END
	keys
	for o in '-c 0.9' '-m f' "-O set=$(printf %032d 0)" \
	    "-O digest=$(printf %064d 0)" '-V sign.pub'; do
		# shellcheck disable=SC2086	# words
		expect 2 geverify -O alone $o .
		said "geverify: -O alone judges no set: not with -c, -m, -V, -O set or -O digest"
	done
}

@test "geverify: a whole set is a header, and 0" {
	set_of d
	expect 0 geverify d
	reported
	expect 0 geverify -v d
	reported 'ok - 0 0 d -' 'ok - 0 1 d -' 'ok - 0 2 d -' \
	    'ok - 1 0 d -' 'ok - 1 1 d -' 'ok - 1 2 d -' \
	    'ok - 2 0 d -' 'ok - 2 1 d -' 'ok - 2 2 d -'
	[ "$(sed 1d "$out" | cut -f 2 | sort -u)" = "$(ls d)" ]
	expect 0 geverify -vv d
	gefrag -d e </dev/null
	expect 0 geverify -v -j 1 e
	[ "$(grep -c ^ok "$out")" -eq 9 ]
}

@test "geverify: the summary has set, loss to spare, overhead, durability" {
	set_of d
	expect 0 geverify d
	stored=$(cat d/*/*.gef | wc -c)
	# shellcheck disable=SC2016	# awk
	said "geverify: set $(ls d): 19.5 KiB in 3 segments, any 2 of 3 fragments" \
	    'geverify: 9 of 9 fragments whole; 9 of 9 blocks read' \
	    "geverify: 1 more of the 3 fragments of each segment may be lost; $(
		awk -v n="$stored" 'BEGIN { printf "%.1f KiB stored, %.2f",
		    n / 1024, n / 20000 }') times the data (three replicas: 3.00)" \
	    'geverify: durability of the weakest segment: 3.8 nines (chance of loss in a year 1.5e-04), if each of its fragments has a site of its own, a site is lost at 0.05 a year, losses are repaired every 7 days, and a common cause ends all at 1e-06 a year'
	rm d/*/0000000001.01.gef
	expect 3 geverify d
	told 'geverify: 8 of 9 fragments whole; 8 of 8 blocks read'
	told 'geverify: 0 more of the 3 fragments of each segment may be lost'
	told 'geverify: durability of the weakest segment: 2.7 nines'
	[ "$(tail -n 1 "$err")" = 'geverify: fragments not whole: 1' ]
	expect 3 geverify -q d
	said 'geverify: fragments not whole: 1'
	reported 'missing - 1 1 - -'
	rm d/*/0000000001.00.gef
	expect 4 geverify d
	told 'geverify: LOST: some segments cannot be rebuilt from what is here'
	fails grep -q durability "$err"
}

# nines OPTIONS: what the summary of the folder d says.
nines() {
	geverify "$@" d 2>&1 >"$out" |
	    sed -n 's/.*durability of the weakest segment: \([0-9.]*\) nines.*/\1/p'
}

@test "geverify: the durability follows its assumptions, to nine nines" {
	bytes 100 >in
	gefrag -d d in
	[ "$(nines)" = 6.0 ]
	# Worse sites, slower repair, a likelier common cause: fewer nines.
	awk -v a="$(nines -O common=0 -O afr=0.3)" \
	    -v b="$(nines -O common=0 -O afr=0.3 -O repair-days=90)" \
	    -v c="$(nines -O common=0 -O afr=0.6 -O repair-days=90)" \
	    'BEGIN { exit !(9 >= a && a > b && b > c && c > 0) }'
	[ "$(nines -O common=0.01)" = 2.0 ]
	[ "$(nines -O common=0 -O afr=0.0001)" = 9.0 ]
	[ "$(nines -O common=0 -O afr=0)" = 9.0 ]
	expect 0 geverify -O common=0.125 -O afr=0.25 -O repair-days=30 d
	told 'a site is lost at 0.25 a year, losses are repaired every 30 days, and a common cause ends all at 0.125 a year'
}

@test "geverify: each kind of damage has its line" {
	set_of d
	s=$(echo d/*)
	rm "$s"/0000000000.00.gef
	truncate -s -1 "$s"/0000000000.01.gef
	echo x >>"$s"/0000000001.00.gef
	flip "$s"/0000000001.02.gef 320
	flip "$s"/0000000002.01.gef 319		# the last byte of its share
	expect 4 geverify "$s"
	reported "missing - 0 0 - -" \
	    "corrupt - 0 1 $s cut after 4415 of 4416 bytes" \
	    "corrupt - 1 0 $s bytes after the payload" \
	    "corrupt - 1 2 $s 1 of 1 blocks damaged" \
	    "corrupt - 2 1 $s wrong key share"
	[ "$(tail -n 1 "$err")" = \
	    "geverify: segment 0: a stripe has 1 good blocks of the 2 needed" ]
	# A fragment whose header is damaged is no fragment, and named.
	set_of e
	flip e/*/0000000000.01.gef 30
	expect 3 geverify e
	reported "missing - 0 1 - -"
	told "geverify: 'e/$(ls e)/0000000000.01.gef': not a fragment: "
	# An epoch that is not the segment's.
	"$GE_TOP/tests/vectors/unpack" \
	    "$GE_TOP/tests/vectors/ok-epochs-one-new.vec" f
	expect 3 geverify f/in
	[ "$(sed 1d "$out" | cut -f 1,6)" = \
	    $'stale\tepoch 1, the segment is at epoch 0' ]
}

@test "geverify: a lost segment is said to be lost, and nothing else of it" {
	set_of d
	set=$(ls d)
	rm d/*/0000000001.0[02].gef
	expect 4 geverify d
	reported 'missing - 1 0 - the segment is lost' \
	    'missing - 1 2 - the segment is lost'
	[ "$(tail -n 1 "$err")" = \
	    'geverify: segment 1: 2 fragments are needed, 1 found (missing 0 2)' ]
	fails grep -q contradict "$err"
	rm d/*/0000000001.01.gef
	expect 4 geverify d
	[ "$(grep -c "^missing	$set	1	" "$out")" -eq 3 ]
	# Nor is a set passed over in silence of which nothing can be read.
	rm d/*/*.0[12].gef
	expect 4 geverify d
	[ "$(grep -c "^missing	$set	0	[12]	" "$out")" -eq 2 ]
	mkdir e
	expect 4 geverify e
	reported
	told 'geverify: no fragments found'
}

@test "geverify: shares of fewer than k fragments are a loss" {
	set_of d
	for i in 0 1; do
		flip d/*/0000000002.0$i.gef 300
	done
	expect 4 geverify d
	told 'geverify: segment 2: fewer than 2 valid key shares of one epoch'
	expect 0 geverify -O blind d
	reported
	told 'geverify: key shares were not checked'
	rm d/*/0000000002.02.gef
	expect 3 geverify -O blind d
	reported 'missing - 2 2 - -'
}

@test "geverify: -O alone takes each fragment for itself" {
	set_of d
	s=$(echo d/*)
	rm "$s"/*.0[01].gef
	expect 0 geverify -v -O alone d
	reported 'ok - 0 2 d -' 'ok - 1 2 d -' 'ok - 2 2 d -'
	said 'geverify: 3 fragments, each by its own table: 0 not whole'
	expect 0 geverify -q -O alone d
	said
	reported
	flip "$s"/0000000001.02.gef 400
	expect 3 geverify -O alone d
	reported 'corrupt - 1 2 d 1 of 1 blocks damaged'
	said 'geverify: 3 fragments, each by its own table: 1 not whole' \
	    'geverify: fragments not whole: 1'
	flip "$s"/0000000001.02.gef 300
	flip "$s"/0000000001.02.gef 400
	expect 3 geverify -O alone d
	reported 'corrupt - 1 2 d wrong key share'
	expect 0 geverify -O alone -O blind d
	# Several sets are nothing special.
	set_of d
	expect 3 geverify -O alone d
	mkdir e
	expect 4 geverify -O alone e
	told 'geverify: no fragments found'
}

@test "geverify: the site is the operand, escaped" {
	set_of d
	set=$(ls d)
	odd=$'o d%\n\tx\xff'
	mkdir "$odd" e
	mv d/*/*.01.gef "$odd"
	mv d/*/*.02.gef e
	expect 0 geverify -v d "$odd" e/0000000000.02.gef e
	reported 'ok - 0 0 d -' 'ok - 0 1 o%20d%25%0A%09x%FF -' \
	    'ok - 0 2 e/0000000000.02.gef -' \
	    'ok - 1 0 d -' 'ok - 1 1 o%20d%25%0A%09x%FF -' 'ok - 1 2 e -' \
	    'ok - 2 0 d -' 'ok - 2 1 o%20d%25%0A%09x%FF -' 'ok - 2 2 e -'
	[ "$(cut -f 2 "$out" | sed 1d | sort -u)" = "$set" ]
}

@test "geverify: a stream on standard input, in any order and form" {
	set_of d
	gefrag "${SMALL[@]}" in | expect 0 geverify
	reported
	tar cf back.tar $(ls -r d/*/*.gef)
	expect 0 geverify -v <back.tar
	[ "$(grep -c '^ok	.*	-	-$' "$out")" -eq 9 ]
	gzip <back.tar | expect 0 geverify -
	expect 0 geverify back.tar
	expect 0 geverify <(cat back.tar)
	flip d/*/0000000001.01.gef 400
	rm d/*/0000000002.00.gef
	tar cf - d | expect 3 geverify
	reported 'corrupt - 1 1 - 1 of 1 blocks damaged' 'missing - 2 0 - -'
	tar cf - d | head -c 20000 | expect 4 geverify
	tar cf - d | expect 0 geverify - back.tar
	[ -z "$(ls -A "$TMPDIR")" ]
	TMPDIR=nowhere expect 1 geverify <back.tar
	told "cannot make a temporary file in 'nowhere'"
	expect 4 geverify </dev/null
	expect 2 on_terminal 'geverify 2>err'
	[ "$(cat err)" = "geverify: standard input is a terminal: name files or folders" ]
}

@test "geverify: a sample says what it would have seen, never intact" {
	bytes 200000 >in
	gefrag -k 2 -n 3 -b 4k -O payload=16k -d d in
	expect 0 geverify -c 0.9 -O loss=0.5 d
	# ln(0.1)/ln(0.5) blocks, rounded up, of 25 stripes.
	told 'geverify: sampled 4 of 75 blocks; 21 of 21 fragments showed no damage in them'
	told "geverify: had 43.8 % of the blocks been damaged, this sample would have shown it with probability 0.9"
	fails grep -qi intact "$err" "$out"
	expect 0 geverify -c 0.9999 -O loss=0.5 d
	told 'sampled 14 of 75 blocks; '
	expect 0 geverify -c 0.9999 d
	told '75 of 75 blocks read'
	fails grep -q sample "$err"
	# By default a loss of a thousandth.
	bytes 3000000 | gefrag -k 2 -n 3 -b 4k -d f
	expect 0 geverify -c 0.5 f
	told 'sampled 693 of 1101 blocks; '
	told 'had 0.1 % of the blocks been damaged'
	# A third of all blocks is damaged: 40 of 75 find some.
	for f in d/*/*.01.gef; do
		for ((at = 609; at < $(wc -c <"$f"); at += 4096)); do
			flip "$f" $at
		done
	done
	expect 3 geverify -c 0.999999999 -O loss=0.4 d
	told 'sampled 41 of 75 blocks; '
	grep -q 'blocks damaged$' "$out"
	# Headers are read in any case.
	gefrag -k 2 -n 3 -b 4k -O payload=16k -d e in
	rm e/*/*.02.gef
	expect 3 geverify -c 0.5 -O loss=0.5 e
	told 'sampled 1 of 50 blocks; '
	[ "$(grep -c ^missing "$out")" -eq 7 ]
}

@test "geverify: two sets are ambiguous until one is named" {
	keys
	bytes 20000 >in
	gefrag "${SMALL[@]}" -S sign.pem -d d in
	one=$(ls d)
	gefrag "${SMALL[@]}" -d d in
	expect 5 geverify d
	told 'geverify: more than one set is here: name one with -O set=ID'
	reported
	digest=$(awk '/^digest/ { print $2 }' d/"$one"/manifest)
	for pin in "-O set=$one" "-O digest=$digest" "-m d/$one/manifest" \
	    '-V sign.pub'; do
		# shellcheck disable=SC2086	# words
		expect 0 geverify -v $pin d
		[ "$(sed 1d "$out" | cut -f 2 | sort -u)" = "$one" ]
	done
	expect 4 geverify -O set="$(printf %032d 0)" d
	expect 5 geverify -O digest="$(printf %064d 0)" -O set="$one" d
	told 'geverify: the set has another digest than the one named'
	expect 5 geverify -V other.pub -O set="$one" d
	told 'geverify: no manifest is signed by the key named'
	expect 2 geverify -V sign.pem d
	said "geverify: 'sign.pem' is not an Ed25519 public key"
	expect 2 geverify -m nope d
	told "geverify: cannot open 'nope': No such file or directory"
	expect 5 geverify -m in d
	expect 5 geverify -m d/"$one"/manifest -O set="$(ls d |
	    grep -v "$one")" d
	told 'geverify: the manifest is of another set than the one named'
}

@test "geverify: a manifest knows what else there was" {
	set_of d
	cp d/*/manifest m
	rm d/*/000000000[12]*
	expect 4 geverify d
	expect 4 geverify -m m d
	[ "$(grep -c ^missing "$out")" -eq 6 ]
}

@test "geverify: a fragment that lies is named and convicted" {
	bytes 20000 1 >one
	bytes 20000 2 >two
	fixed s gefrag "${SMALL[@]}" -d d one
	fixed s gefrag "${SMALL[@]}" -d e two
	cp e/*/0000000001.02.gef d/*/
	expect 3 geverify d
	reported 'corrupt - 1 2 d its header contradicts the others'
	told "geverify: 'd/$(ls d)/0000000001.02.gef': segment 1, fragment 2: its header contradicts the others"
	expect 5 geverify -m e/*/manifest d
	expect 5 geverify d e
}

@test "geverify: what cannot be read is unreachable, not corrupt" {
	set_of d
	ln -s loop d/loop
	expect 1 geverify d
	reported 'unreachable - - - d d/loop: Too many levels of symbolic links'
	told 'geverify: not all could be read'
	# Something worse is known: a missing fragment may be the one.
	rm d/*/0000000001.01.gef
	expect 1 geverify d
	reported 'unreachable - 1 1 - not found, and not all could be read' \
	    'unreachable - - - d d/loop: Too many levels of symbolic links'
	echo >>"$(echo d/*/0000000000.00.gef)"
	expect 3 geverify d
	rm d/*/*.0[01].gef
	expect 1 geverify d
	# A folder that is not there is a loss, and does not hide the rest.
	set_of e
	mkdir f
	mv e/*/*.00.gef f
	expect 0 geverify e f
	rm -r f
	expect 3 geverify e f
	grep -qx $'unreachable\t-\t-\t-\tf\tf: No such file or directory' "$out"
	[ "$(grep -c ^missing "$out")" -eq 3 ]
	expect 2 geverify f
	told "geverify: 'f': No such file or directory"
}

@test "geverify: the worst decides the status" {
	set_of d
	echo >>"$(echo d/*/0000000000.00.gef)"
	expect 3 geverify d
	rm d/*/0000000002.0[01].gef
	expect 4 geverify d
	gefrag "${SMALL[@]}" -d d in
	expect 5 geverify d
}

@test "geverify: rubbish, pipes and loops in a folder are passed over" {
	set_of d
	s=$(echo d/*)
	bytes 5000 >"$s/rubbish"
	: >"$s/empty"
	ln -s nowhere "$s/dangling"
	ln -s . "$s/self"
	mkfifo "$s/pipe"
	expect 0 timeout 60 geverify d
	reported
	printf 'GEFRAG1\n' >"$s/magic"
	expect 0 geverify d
	reported
	told "geverify: '$s/magic': not a fragment: "
	expect 3 geverify -q -O alone d
}

@test "geverify: a stray beside a whole set is named, and no damage" {
	set_of d
	cp d/*/0000000001.01.gef d/stray
	flip d/stray 30
	expect 0 geverify d
	reported
	told "geverify: 'd/stray': not a fragment: "
}

@test "geverify: a set's folder may be a link, lost+found unreadable" {
	set_of d
	set=$(ls d)
	mkdir disk
	mv d/"$set" disk
	ln -s ../disk/"$set" d/"$set"
	expect 0 geverify -q d
	reported
	# Not any other folder.
	for name in x "$set.old"; do
		mv d/* d/"$name"
		expect 4 geverify -q d
	done
	mkdir disk/lost+found disk/secret
	chmod 0 disk/lost+found disk/secret
	run=()
	[ "$(id -u)" -ne 0 ] || run=(setpriv --bounding-set=-all)
	expect 1 "${run[@]}" geverify -q disk
	reported 'unreachable - - - disk disk/secret: Permission denied'
	rmdir disk/secret
	expect 0 "${run[@]}" geverify -q disk
	reported
	rmdir disk/lost+found
}

@test "geverify: the same report whatever -j" {
	bytes 200000 >in
	gefrag -k 3 -n 5 -b 4k -O payload=16k -d d in
	rm d/*/*3.00.gef
	for f in d/*/*[01].02.gef; do
		flip "$f" 9000
	done
	for j in 1 2 7; do
		expect 3 geverify -v -j $j d
		mv "$out" $j
	done
	cmp 1 2
	cmp 1 7
	GE_CPU=portable expect 3 geverify -v d
	cmp 1 "$out"
}

@test "geverify: it writes nothing, and needs no key" {
	keys
	bytes 20000 >in
	gefrag "${SMALL[@]}" -r anna.pub -d d in
	flip d/*/0000000001.01.gef 500
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 3 geverify d
	tree . | diff "$BATS_TEST_TMPDIR/before" -
}

@test "geverify: closed and full descriptors are errors" {
	set_of d
	expect 1 bash -c 'geverify d >/dev/full'
	told 'geverify: cannot write standard output: No space left on device'
	expect 1 bash -c 'geverify d >&-'
	told 'geverify: cannot write standard output: '
	expect 1 bash -c 'geverify <&-'
	told "geverify: 'standard input': cannot read: Bad file descriptor"
	expect 0 bash -c 'geverify d <&- 2>&-'
	reported
	rm d/*/*.0[01].gef
	expect 4 bash -c 'geverify d >/dev/full'
}

@test "geverify: SIGTERM ends it, SIGUSR1 asks for a line of progress" {
	bytes 900000 >in
	gefrag "${SMALL[@]}" -o s in
	mkfifo p
	geverify <p 2>"$err" 3>&- &
	pid=$!
	exec 9>p
	head -c 1300000 s >&9
	kill -USR1 $pid
	until_true grep -qE '^geverify: .*/s, [0-9]+ s$' "$err"
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	exec 9>&-
	[ $status -eq 143 ]
	[ -z "$(ls -A "$TMPDIR")" ]
}
