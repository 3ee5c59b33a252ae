load helper

# set_of DIR: a small set of the file in, and what it was like in DIR.was.
set_of() {
	[ -e in ] || bytes 20000 >in
	gefrag "${SMALL[@]}" -d "$1" in
	cp -a "$1" "$1.was"
}

# whole DIR: it is byte for byte what it was.
whole() {
	diff -r "$1.was" "$1"
}

# hosts N: spread the one set in the folder cut, an index to each of host0, ...
hosts() {
	local i set
	set=$(ls cut)
	for ((i = 0; i < $1; i++)); do
		mkdir -p "host$i/$set"
		mv cut/*/*.0"$i".gef "host$i/$set"
	done
	mv cut/*/manifest manifest
	rm -r cut
}

@test "gerepair: --help, --version and wrong options are answered" {
	answers gerepair
	expect 2 gerepair
	said 'gerepair: which folders? or name sites with -s'
	expect 2 gerepair -k 3 .
	grep -qx 'gerepair: -k: no such option' "$err"
	expect 2 gerepair -O set .
	said "gerepair: set '': not 32 lower-case hex digits"
	expect 2 gerepair -O digest=0 .
	said "gerepair: digest '0': not 64 lower-case hex digits"
	expect 2 gerepair -O blind=x .
	said "gerepair: -O 'blind=x': no such option"
}

@test "gerepair: only folders, and all of them" {
	set_of d
	expect 2 gerepair in </dev/null
	said "gerepair: 'in': not a folder"
	expect 2 gerepair d nope </dev/null
	said "gerepair: 'nope': No such file or directory"
	expect 2 gerepair - </dev/null
	said "gerepair: '-': No such file or directory"
	expect 2 gerepair d/*/0000000000.00.gef d </dev/null
	mkdir e
	expect 4 gerepair e </dev/null
	said 'gerepair: no fragments found'
}

@test "gerepair: a whole set is left alone, in silence" {
	set_of d
	stat -c '%i %y %n' d/*/* >"$BATS_TEST_TMPDIR/before"
	expect 0 gerepair d </dev/null
	said
	[ ! -s "$out" ]
	expect 0 gerepair -v d </dev/null
	said 'gerepair: 0 fragments rebuilt, 0 B written'
	stat -c '%i %y %n' d/*/* | diff "$BATS_TEST_TMPDIR/before" -
}

@test "gerepair: every kind of loss is made good, byte for byte" {
	keys
	bytes 50000 >in
	words 50000 >text
	while IFS='|' read -r opts file; do
		# shellcheck disable=SC2086	# words
		gefrag -k 3 -n 6 -q -b 4k -O payload=8k $opts -d d $file
		cp -a d d.was
		s=$(echo d/*)
		rm "$s"/0000000000.0[25].gef
		truncate -s 700 "$s"/0000000001.00.gef
		: >"$s"/0000000001.03.gef
		echo more >>"$s"/0000000001.05.gef
		expect 0 gerepair d </dev/null
		rm -f "$s"/*.bad
		whole d
		for at in 0 9 57 63 70; do
			flip "$s"/0000000000.03.gef $at
			expect 0 gerepair d </dev/null
			rm "$s"/0000000000.03.gef.bad
			whole d
		done
		for f in "$s"/*.0[14].gef; do
			flip "$f" $(($(wc -c <"$f") - 1))
		done
		rm "$s"/*.02.gef
		expect 0 gerepair -j 3 d </dev/null
		whole d
		rm -r d d.was
	done <<-'END'
	|in
	-p|in
	-z|text
	-r anna.pub|in
	END
}

@test "gerepair: a share alone is put back" {
	set_of d
	flip d/*/0000000001.01.gef 300
	expect 0 gerepair d </dev/null
	whole d
}

@test "gerepair: good fragments are not touched" {
	set_of d
	s=$(echo d/*)
	rm "$s"/0000000000.00.gef
	flip "$s"/0000000002.01.gef 330
	stat -c '%i %y %n' "$s"/* | grep -v '2\.01\.gef' \
	    >"$BATS_TEST_TMPDIR/before"
	expect 0 gerepair d </dev/null
	stat -c '%i %y %n' "$s"/* | grep -v '0\.00\.gef\|2\.01\.gef' |
	    diff "$BATS_TEST_TMPDIR/before" -
	whole d
	[ "$(stat -c %a "$s"/0000000000.00.gef)" = 644 ]
}

@test "gerepair: what is in the way is kept, as .bad or as .kept" {
	set_of d
	s=$(echo d/*)
	# Rubbish, a damaged header, a fragment of another place.
	echo precious >"$s"/0000000000.00.gef
	flip "$s"/0000000001.01.gef 30
	cp "$s"/0000000001.01.gef "$BATS_TEST_TMPDIR"
	mv "$s"/0000000002.02.gef x
	cp "$s"/0000000002.00.gef "$s"/0000000002.02.gef
	expect 0 gerepair d </dev/null
	told "gerepair: '$s/0000000000.00.gef': not what belongs there, kept as '$s/0000000000.00.gef.bad'"
	[ "$(cat "$s"/0000000000.00.gef.bad)" = precious ]
	cmp "$s"/0000000001.01.gef.bad "$BATS_TEST_TMPDIR"/0000000001.01.gef
	cmp "$s"/0000000002.02.gef.kept "$s"/0000000002.00.gef
	cmp "$s"/0000000002.02.gef x
	# Once more: the first one kept is not lost.
	echo precious too >"$s"/0000000000.00.gef
	expect 0 gerepair d </dev/null
	[ "$(cat "$s"/0000000000.00.gef.bad)" = precious ]
	[ "$(cat "$s"/0000000000.00.gef.bad1)" = 'precious too' ]
	rm "$s"/*.bad* "$s"/*.kept
	whole d
}

@test "gerepair: a pipe, a link or a folder in the way is kept too" {
	set_of d
	s=$(echo d/*)
	rm "$s"/*.00.gef
	mkfifo "$s"/0000000000.00.gef
	ln -s /dev/null "$s"/0000000001.00.gef
	mkdir "$s"/0000000002.00.gef
	echo mine >"$s"/0000000002.00.gef/file
	expect 0 timeout 60 gerepair -q d </dev/null
	[ -p "$s"/0000000000.00.gef.bad ]
	[ "$(readlink "$s"/0000000001.00.gef.bad)" = /dev/null ]
	[ "$(cat "$s"/0000000002.00.gef.bad/file)" = mine ]
	rm -r "$s"/*.bad
	whole d
	# A dangling link, a link to a fragment that is damaged.
	mv "$s"/0000000000.01.gef away
	ln -s ../nowhere "$s"/0000000000.01.gef
	mv "$s"/0000000001.01.gef there
	flip there 400
	ln -s ../../there "$s"/0000000001.01.gef
	expect 0 gerepair -q d </dev/null
	[ ! -e d/nowhere ]
	rm "$s"/*.bad
	whole d
}

@test "gerepair: each index goes home, what has no home where room is" {
	bytes 50000 >in
	gefrag -k 6 -n 9 -b 4k -O payload=4k -d cut in
	set=$(ls cut)
	hosts 9
	cp -a host2 host2.was
	cp -a host5 host5.was
	# Emptied: the two indices go back, one to each.
	rm -r host2/* host5/*
	expect 0 gerepair host? </dev/null
	said
	[ "$(ls host2/"$set" host5/"$set" | grep -c gef)" -eq 6 ]
	diff -r host2.was host2
	diff -r host5.was host5
	# Some of an index gone: they go where the others of it are.
	rm host2/*/0000000001.02.gef host5/*/0000000000.05.gef
	expect 0 gerepair host? </dev/null
	diff -r host2.was host2
	diff -r host5.was host5
	# A new host takes the index of one that has gone.
	rm -r host5
	mkdir new
	expect 0 gerepair host? new </dev/null
	diff -r host5.was new
	gejoin -m manifest host? new | cmp - in
	[ "$(ls host*/*/*.gef new/*/*.gef | wc -l)" -eq 27 ] ||
	    ls host*/*/* new/*/*
}

@test "gerepair: a header that anyone can write gets nothing" {
	bytes 20000 >in
	gefrag -k 3 -n 5 -b 4k -O payload=4k -d cut in
	set=$(ls cut)
	hosts 5
	cp -a host3 host3.was
	# Host 0 would like all, and forges them from its own.
	for s in 0 1; do
		for i in 1 2 3 4; do
			f=host0/$set/000000000$s.0$i.gef
			cp host0/"$set"/000000000$s.00.gef "$f"
			forge "$f" $i
		done
	done
	expect 0 geverify host?
	[ "$(wc -l <"$out")" -eq 1 ]
	cp -a host0 host0.was
	# All of an index is lost, a part of it, a share.
	rm host3/*/*
	for try in 1 2 3; do
		expect 0 gerepair host? </dev/null
		said
		diff -r host0.was host0
		diff -r host3.was host3
		expect 4 gejoin host0
		case $try in
		1)	rm host3/*/0000000001* ;;
		2)	flip host3/*/0000000000.03.gef 420 ;;
		esac
	done
}

@test "gerepair: who gets enough to read the set is named" {
	bytes 20000 >in
	gefrag -k 3 -n 5 -b 4k -O payload=4k -d cut in
	set=$(ls cut)
	hosts 5
	mv host[12]/*/* host0/*/
	rm host0/"$set"/0000000001.02.gef
	expect 0 gerepair host0 host3 host4 </dev/null
	said "gerepair: 'host0' gets 3 of 5 fragments: enough to read the set"
	# Not for what it has already.
	rm host3/*/*
	expect 0 gerepair -v host0 host3 host4 </dev/null
	fails grep -q enough "$err"
}

@test "gerepair: a lie that was set aside counts no more" {
	bytes 20000 1 >one
	bytes 20000 2 >two
	fixed s gefrag "${SMALL[@]}" -d d one
	fixed s gefrag "${SMALL[@]}" -d e two
	cp -a d d.was
	s=$(echo d/*)
	for i in 2 1 0; do
		cp e/*/0000000001.0$i.gef "$s"
		expect 0 gerepair d </dev/null
		[ -e "$s"/0000000001.0$i.gef.bad ]
		cmp "$s"/0000000001.0$i.gef d.was/*/0000000001.0$i.gef
	done
	expect 0 geverify -q d
	# Named, they are heard.
	expect 5 geverify -q d "$s"/*.bad
}

@test "gerepair: mode and owner are as before, or as beside" {
	set_of d
	s=$(echo d/*)
	chmod 600 "$s"/*.gef
	chmod 640 "$s"/0000000001.01.gef
	[ "$(id -u)" -ne 0 ] || chown 65534:65534 "$s"/*.gef
	stat -c '%a %u %g %n' "$s"/*.gef >"$BATS_TEST_TMPDIR/before"
	rm "$s"/0000000000.00.gef "$s"/0000000002.0[1].gef
	flip "$s"/0000000001.01.gef 400
	expect 0 gerepair d </dev/null
	stat -c '%a %u %g %n' "$s"/*.gef | diff "$BATS_TEST_TMPDIR/before" -
}

@test "gerepair: a folder named after the set takes the fragments itself" {
	set_of d
	rm d/*/0000000001.01.gef
	expect 0 gerepair "$(echo d/*)" </dev/null
	whole d
	rm d/*/0000000001.01.gef
	cd d/*
	expect 0 gerepair . </dev/null
	cd ../..
	whole d
}

@test "gerepair: it repairs what the report on standard input names" {
	set_of d
	rm d/*/000000000[012].00.gef
	geverify -q d >report || [ $? -eq 3 ]
	# A part of the report: only that is repaired.
	grep -v '	[02]	0	' report | expect 0 gerepair -v d
	grep -q '0000000001.00.gef.: rebuilt$' "$err"
	[ "$(ls d/*/*.00.gef)" = "$(echo d/*/0000000001.00.gef)" ]
	expect 0 gerepair d <report
	said
	whole d
	# Of one segment, too, nothing else.
	gefrag -k 3 -n 5 -d e in
	rm e/*/*.0[14].gef
	geverify -q e >other || [ $? -eq 3 ]
	sed '/	4	/d' other | expect 0 gerepair e
	[ -e "$(echo e/*)"/0000000000.01.gef ]
	[ ! -e "$(echo e/*)"/0000000000.04.gef ]
	# A report that is no longer true does no harm.
	expect 0 gerepair d <report
	whole d
	geverify -v d | expect 0 gerepair d
}

@test "gerepair: a report of nothing, or none: it looks for itself" {
	set_of d
	geverify -q d >report
	[ "$(wc -l <report)" -eq 1 ]
	# What geverify leaves when it is refused or killed is a header too.
	while read -r how; do
		rm d/*/0000000001.01.gef
		expect 0 bash -c "$how"
		said
		whole d
	done <<-'END'
	gerepair d <report
	cat report | gerepair d
	: | gerepair d
	gerepair d </dev/null
	END
}

@test "gerepair: a file on standard input that is no report is let alone" {
	set_of d
	rm d/*/0000000000.00.gef
	printf 'one\ntwo\n' >list
	: >empty
	# A loop's list: gerepair must not eat it.
	n=0
	while read -r _; do
		n=$((n + 1))
		expect 0 gerepair d
		whole d
		rm d/*/0000000000.00.gef
	done <list
	[ $n -eq 2 ]
	expect 0 gerepair d <in
	rm d/*/0000000000.00.gef
	expect 0 gerepair d <empty
	said
	whole d
}

@test "gerepair: a silent pipe is waited for, and that is said" {
	set_of d
	rm d/*/0000000000.00.gef
	mkfifo p
	timeout 60 gerepair d <p 2>"$err" 3>&- &
	pid=$!
	exec 9>p
	until_true grep -qxF 'gerepair: waiting for a report on standard input (give </dev/null if none is meant)' "$err"
	[ ! -e "$(echo d/*)"/0000000000.00.gef ]
	exec 9>&-
	wait $pid
	whole d
}

@test "gerepair: what is no report is refused, and nothing written" {
	set_of d
	set=$(ls d)
	rm d/*/0000000000.00.gef
	cp -a d was
	while IFS='|' read -r text line; do
		# shellcheck disable=SC2059	# the text is the format
		printf "$text" | expect 2 gerepair d
		said "gerepair: standard input: $line"
		diff -r was d
	done <<-END
	hello\\n|not a report of geverify (give </dev/null if none is meant)
	hello|the report is cut short
	#status\\nhello\\n|not a line of a report: 'hello'
	#status\\nmissing\\t$set\\t0\\t0\\t-\\t-|the report is cut short
	#status\\nmissing\\t$set\\t0\\t64\\t-\\t-\\n|not a line of a report: 'missing?$set?0?64?-?-'
	#status\\nmissing\\t$set\\t0\\tx\\t-\\t-\\n|not a line of a report: 'missing?$set?0?x?-?-'
	#status\\ngone\\t$set\\t0\\t0\\t-\\t-\\n|not a line of a report: 'gone?$set?0?0?-?-'
	#status\\nmissing\\tABC\\t0\\t0\\t-\\t-\\n|not a line of a report: 'missing?ABC?0?0?-?-'
	END
	bytes 50000 | expect 2 gerepair d
	head -c 50000 /dev/zero | expect 2 gerepair d
	printf '#status\nhello\n' >report
	expect 2 gerepair d <report
	diff -r was d
	expect 0 gerepair d </dev/zero
	whole d
}

@test "gerepair: a report of another set, or of two, is refused" {
	set_of d
	one=$(ls d)
	set_of e
	two=$(ls e)
	mv e/* d
	rm d/"$one"/*.00.gef d/"$two"/*.01.gef
	cp -a d was
	geverify -q -O set="$one" d >report || [ $? -eq 3 ]
	expect 4 gerepair d/"$two" <report
	said "gerepair: set $one: no fragments found"
	expect 5 gerepair -O set="$two" d <report
	said 'gerepair: the report is of another set than the one named, or of several'
	{ cat report; geverify -q d/"$two" | sed 1d; } >both
	expect 5 gerepair d <both
	diff -r was d
	# It is a pin: of two sets this one is repaired.
	expect 0 gerepair d <report
	diff -r d.was/"$one" d/"$one"
	diff -r was/"$two" d/"$two"
}

@test "gerepair: a pin picks the set, and one that fails writes nothing" {
	keys
	bytes 20000 >in
	gefrag "${SMALL[@]}" -S sign.pem -d d in
	one=$(ls d)
	gefrag "${SMALL[@]}" -d d in
	two=$(ls d | grep -v "$one")
	cp -a d d.was
	rm d/*/*.00.gef
	cp -a d bad
	expect 5 gerepair d </dev/null
	said 'gerepair: more than one set is here: name one with -O set=ID'
	digest=$(awk '/^digest/ { print $2 }' d/"$one"/manifest)
	for pin in "-O set=$one" "-O digest=$digest" '-V sign.pub' \
	    "-m d/$one/manifest"; do
		rm -f d/"$one"/*.00.gef
		# shellcheck disable=SC2086	# words
		expect 0 gerepair $pin d </dev/null
		diff -r d.was/"$one" d/"$one"
		diff -r bad/"$two" d/"$two"
	done
	rm d/"$one"/*.00.gef
	expect 5 gerepair -V sign.pub d/"$two" </dev/null
	said 'gerepair: no manifest is signed by the key named'
	expect 5 gerepair -O digest="$digest" d/"$two" </dev/null
	expect 4 gerepair -m d/"$one"/manifest d/"$two" </dev/null
	expect 5 gerepair -V other.pub d </dev/null
	expect 2 gerepair -V anna.pub d </dev/null
	said "gerepair: 'anna.pub' is not an Ed25519 public key"
	expect 2 gerepair -m nope d </dev/null
	expect 5 gerepair -m in d </dev/null
	diff -r bad d
}

@test "gerepair: -t prints the plan and writes nothing" {
	set_of d
	s=$(echo d/*)
	rm "$s"/0000000001.02.gef
	flip "$s"/0000000000.01.gef 400
	mkdir new
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 0 gerepair -t d new </dev/null
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	diff - "$out" <<-END
	#status	set	segment	index	site	detail
	corrupt	$(ls d)	0	1	d	1 of 1 blocks damaged
	missing	$(ls d)	1	2	d	-
	END
	said "gerepair: 'd' gets 3 of 3 fragments: enough to read the set"
	# The plan is a report.
	cp "$out" plan
	expect 0 gerepair d <plan
	whole d
	expect 0 gerepair -t d </dev/null
	[ "$(wc -l <"$out")" -eq 1 ]
	# Nothing of an index is left: it would go to the empty folder.
	rm "$s"/*.02.gef
	expect 0 gerepair -t d new </dev/null
	[ "$(sed 1d "$out" | cut -f 4,5 | sort -u)" = '2	new' ]
	expect 1 bash -c 'gerepair -t d new </dev/null >/dev/full'
	[ ! -e "$s"/0000000000.02.gef ]
}

@test "gerepair: -v names each fragment, -q nothing" {
	set_of d
	s=$(echo d/*)
	rm "$s"/0000000001.02.gef
	expect 0 gerepair -v d </dev/null
	said "gerepair: '$s/0000000001.02.gef': rebuilt" \
	    'gerepair: 1 fragments rebuilt, 4.3 KiB written'
	echo x >"$s"/0000000001.02.gef
	expect 0 gerepair -q d </dev/null
	said
	expect 0 gerepair -vv d </dev/null
}

@test "gerepair: the blind make bodies whole, and the shares can follow" {
	set_of d
	s=$(echo d/*)
	rm "$s"/0000000000.00.gef
	flip "$s"/0000000001.01.gef 400
	expect 3 gerepair -O blind d </dev/null
	said 'gerepair: the bodies are whole, but some fragments have no key share'
	expect 3 geverify d
	[ "$(sed 1d "$out" | cut -f 1,3,4,6)" = 'corrupt	0	0	no key share' ]
	# The body of one whose header was good: its share stayed.
	cmp "$s"/0000000001.01.gef d.was/*/0000000001.01.gef
	cmp -s <(tail -c 4096 "$s"/0000000000.00.gef) \
	    <(tail -c 4096 d.was/*/0000000000.00.gef)
	# Without a share of its own it helps to read.
	flip "$s"/0000000000.01.gef 400
	gejoin -q d | cmp - in
	expect 3 gerepair -O blind d </dev/null
	expect 0 gerepair d </dev/null
	said
	whole d
	# A plain set has no shares.
	gefrag -p "${SMALL[@]}" -d p in
	cp -a p p.was
	rm p/*/*.01.gef
	expect 0 gerepair -O blind p </dev/null
	whole p
}

@test "gerepair: what is lost is not written, nor what contradicts" {
	set_of d
	s=$(echo d/*)
	# One segment is lost, another could be repaired.
	rm "$s"/0000000000.00.gef "$s"/0000000001.0[01].gef
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 4 gerepair d </dev/null
	said 'gerepair: segment 1: 2 fragments are needed, 1 found (missing 0 1)'
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	cp d.was/*/0000000001.0[01].gef "$s"
	for i in 0 1; do
		flip "$s"/0000000001.0$i.gef 400
	done
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 4 gerepair d </dev/null
	said 'gerepair: segment 1 is lost: nothing was written'
	expect 4 gerepair -t d </dev/null
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	# Shares of too few.
	cp d.was/*/* "$s"
	for i in 0 1; do
		flip "$s"/0000000001.0$i.gef 300
	done
	expect 4 gerepair d </dev/null
	# Not all can be read: perhaps not lost.
	ln -s loop d/loop
	expect 1 gerepair d </dev/null
	told 'gerepair: not all could be read: '
}

@test "gerepair: the majority, or the pin, decides what is rebuilt" {
	bytes 20000 1 >one
	bytes 20000 2 >two
	fixed s gefrag "${SMALL[@]}" -d d one
	fixed s gefrag "${SMALL[@]}" -d e two
	cp -a d d.was
	s=$(echo d/*)
	cp e/*/0000000001.02.gef "$s"
	expect 0 gerepair d </dev/null
	cmp "$s"/0000000001.02.gef d.was/*/0000000001.02.gef
	cmp "$s"/0000000001.02.gef.bad e/*/0000000001.02.gef
	tree d >"$BATS_TEST_TMPDIR/before"
	expect 5 gerepair -m e/*/manifest d </dev/null
	expect 5 gerepair d e </dev/null
	tree d | diff "$BATS_TEST_TMPDIR/before" -
	rm d/*/*.00.gef
	expect 0 gerepair -m d.was/*/manifest d e </dev/null
	expect 0 geverify -q -m d.was/*/manifest d e
}

@test "gerepair: an older or newer epoch gives way" {
	"$GE_TOP/tests/vectors/unpack" \
	    "$GE_TOP/tests/vectors/ok-epochs-one-new.vec" v
	expect 3 geverify v/in
	expect 0 gerepair v/in </dev/null
	expect 0 geverify v/in
}

@test "gerepair: a full disk leaves every fragment old or new" {
	bytes 900000 >in
	gefrag -k 3 -n 5 -b 4k -d d in
	cp -a d d.was
	s=$(echo d/*)
	flip "$s"/0000000000.01.gef 200000
	rm "$s"/0000000000.00.gef
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 1 bash -c 'ulimit -f 200; gerepair d </dev/null'
	told 'cannot write: File too large'
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	expect 0 gerepair d </dev/null
	whole d
}

@test "gerepair: the same bytes whatever -j and whatever kernels" {
	bytes 300000 >in
	gefrag -k 3 -n 5 -b 4k -O payload=32k -d d in
	cp -a d d.was
	for j in 1 2 5; do
		rm d/*/*.0[13].gef
		expect 0 gerepair -j $j d </dev/null
		whole d
	done
	rm d/*/*.0[13].gef
	GE_CPU=portable expect 0 gerepair d </dev/null
	whole d
}

@test "gerepair: closed descriptors are nothing to it" {
	set_of d
	rm d/*/*.00.gef
	expect 0 bash -c 'gerepair d <&- >&- 2>&-'
	whole d
	rm d/*/*.00.gef
	expect 0 on_terminal 'gerepair d'
	whole d
}

@test "gerepair: SIGTERM while it waits for its report changes nothing" {
	set_of d
	rm d/*/*.00.gef
	tree . >"$BATS_TEST_TMPDIR/before"
	mkfifo "$BATS_TEST_TMPDIR/p"
	gerepair d <"$BATS_TEST_TMPDIR/p" 2>"$err" 3>&- &
	pid=$!
	exec 9>"$BATS_TEST_TMPDIR/p"
	# More than a pipe holds: once it is gone the program is at work.
	{ echo '#status'; yes '#' | head -n 200000; } >&9
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	exec 9>&-
	[ $status -eq 143 ]
	tree . | diff "$BATS_TEST_TMPDIR/before" -
}
