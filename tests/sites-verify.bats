load helper

HEADER=$'#status\tset\tsegment\tindex\tsite\tdetail'

# sites_of N: the folders s0, s1, ... and the sites file that names them.
sites_of() {
	local i
	for ((i = 0; i < $1; i++)); do
		mkdir "s$i"
		echo "s$i file://$PWD/s$i operator=o$i region=r$i country=fr"
	done >sites
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
}

# spread DIR: the fragments of the set in DIR, index i at site i, its manifest
# with their places at all of them and in the file m.
spread() {
	local i n segments
	set=$(ls "$1")
	n=$(awk '/^code/ { print $4 }' "$1/$set/manifest")
	segments=$(awk '/^segments/ { print $2 }' "$1/$set/manifest")
	{
		cat "$1/$set/manifest"
		printf 'place 0 0-%d' $((segments - 1))
		for ((i = 0; i < n; i++)); do
			printf ' %d=s%d' $i $i
		done
		echo
	} >m
	for ((i = 0; i < n; i++)); do
		mkdir "s$i/$set"
		cp "$1/$set"/*."$(printf %02d $i)".gef "s$i/$set"
		cp m "s$i/$set/manifest"
	done
}

# small: a set of three segments, 2 of 3, at three sites.
small() {
	bytes 20000 >in
	gefrag "${SMALL[@]}" -d d in
	sites_of 3
	spread d
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

# received: the bytes that the last summary says were fetched, in KiB.
received() {
	sed -n 's/^geverify: \(.*\) received$/\1/p' "$err" | awk '
	    $2 == "KiB" { print int($1) } $2 == "MiB" { print int(1024 * $1) }
	    $2 == "bytes" || NF == 1 { print 1 }'
}

@test "geverify -s: a whole set is whole, however it is named" {
	small
	for what in m "$set" "${set:0:6}" "s1/$set/manifest"; do
		expect 0 geverify -s sites "$what"
		reported
		told '9 of 9 fragments whole; 9 of 9 blocks read'
		told '1 more site may vanish, whichever they are'
		told 'all sites of 1 more domain (operator) may vanish'
		told '1 more of the 3 fragments of each segment may be lost'
	done
	expect 0 geverify -s sites <m
	expect 0 geverify -q -v -s sites -m m
	[ "$(grep -c ^ok "$out")" -eq 9 ]
	said
	expect 0 geverify -q -s sites -O all
	reported
	for j in 1 2 7 64; do
		expect 0 geverify -v -j $j -s sites m
		mv "$out" $j
	done
	cmp 1 2
	cmp 1 7
	cmp 1 64
}

@test "geverify -s: each kind of damage has its line" {
	small
	rm s0/"$set"/0000000000.00.gef
	truncate -s -1 s1/"$set"/0000000000.01.gef
	echo x >>s0/"$set"/0000000001.00.gef
	flip s2/"$set"/0000000001.02.gef 320
	flip s1/"$set"/0000000002.01.gef 319		# a share
	expect 4 geverify -s sites m
	reported "missing - 0 0 s0 -" \
	    "corrupt - 0 1 s1 cut after 4415 of 4416 bytes" \
	    "corrupt - 1 0 s0 bytes after the payload" \
	    "corrupt - 1 2 s2 1 of 1 blocks damaged" \
	    "corrupt - 2 1 s1 wrong key share"
	[ "$(tail -n 1 "$err")" = "geverify: segment 0: 1 good fragments or blocks of a stripe, 2 are needed" ]
	told 'LOST: '
	expect 4 geverify -s sites -O blind m
	told 'key shares were not checked'
	fails grep -q share "$out"
	# No fragment at all, and another one.
	small2=$BATS_TEST_TMPDIR/small2
	mkdir "$small2" && cd "$small2"
	small
	flip s0/"$set"/0000000001.00.gef 70
	cp s2/"$set"/0000000001.02.gef s2/"$set"/0000000002.02.gef
	expect 3 geverify -s sites m
	reported 'corrupt - 1 0 s0 not a fragment: wrong checksum of the header' \
	    'corrupt - 2 2 s2 it is another fragment'
	[ "$(tail -n 1 "$err")" = 'geverify: fragments not whole or not in their place: 2' ]
}

@test "geverify -s: a header longer than any of the set is damage" {
	small
	inflate s1/"$set"/0000000000.01.gef 200 4096
	expect 3 geverify -s sites m
	reported "corrupt - 0 1 s1 its header contradicts the others"
	expect 3 geverify -s sites -O blind m
	reported "corrupt - 0 1 s1 its header contradicts the others"
}

@test "geverify -s: the same without any manifest" {
	small
	rm s?/"$set"/manifest
	expect 3 geverify -s sites "$set"
	reported
	told '9 of 9 fragments whole; 9 of 9 blocks read'
	told 'no site has a manifest of the set: gerepair(1) tells how to make one'
	rm s1/"$set"/0000000001.01.gef
	flip s2/"$set"/0000000002.02.gef 400
	expect 3 geverify -s sites "$set"
	reported 'missing - 1 1 - -' 'corrupt - 2 2 s2 1 of 1 blocks damaged'
	# A segment of which nothing is left.
	rm s?/"$set"/0000000001.*
	expect 4 geverify -s sites "$set"
	told 'geverify: segment 1: no site lists it'
	rm s?/"$set"/0000000002.*
	expect 4 geverify -s sites "$set"
	told 'geverify: no site lists segment 1'
	# Who lies is named by the others.
	cd "$BATS_TEST_TMPDIR/tmp"
	bytes 20000 1 >one
	bytes 20000 2 >two
	fixed s gefrag "${SMALL[@]}" -d d one
	fixed s gefrag "${SMALL[@]}" -d e two
	sites_of 3
	spread d
	rm s?/"$set"/manifest
	cp e/*/0000000001.02.gef s2/"$set"
	expect 3 geverify -s sites "$set"
	reported 'corrupt - 1 2 s2 its header contradicts the others'
	expect 3 geverify -s sites -m m
	reported 'corrupt - 1 2 s2 its header contradicts the manifest'
	cp e/*/0000000001.01.gef s1/"$set"
	expect 5 geverify -s sites m
	told 'geverify: segment 1: its fragments are not those of the manifest'
}

@test "geverify -s: a site that does not answer is unreachable, not missing" {
	small
	mv s2 away
	expect 1 geverify -s sites m
	[ "$(sed 1d "$out" | cut -f 1,4,5 | sort -u)" = $'unreachable\t2\ts2' ]
	[ "$(grep -c ^unreachable "$out")" -eq 3 ]
	[ "$(grep -c 'taken for unreachable' "$err")" -eq 1 ]
	[ "$(tail -n 1 "$err")" = 'geverify: not all sites answered; no answer from s2' ]
	# Something worse is known.
	rm s1/"$set"/0000000001.01.gef
	expect 1 geverify -s sites m		# the site may have it
	told 'not all sites answered: segment 1: '
	mv away s2
	rm s2/"$set"/0000000001.02.gef
	expect 4 geverify -s sites m
	# As if it had gone: everything of it is missing.
	cd "$BATS_TEST_TMPDIR/tmp"
	small
	expect 3 geverify -s sites -x s2 m
	[ "$(sed 1d "$out" | cut -f 1,4- | sort -u)" = \
	    $'missing\t2\ts2\tits site is taken as gone' ]
	# A sites file that does not know a site.
	sed 2d sites >fewer
	expect 1 geverify -s fewer m
	[ "$(sed 1d "$out" | cut -f 1,4- | sort -u)" = \
	    $'unreachable\t1\ts1\tthe sites file does not name its site' ]
}

@test "geverify -s: what is elsewhere, and what breaks the rule, is misplaced" {
	small
	mkdir s3
	echo "s3 file://$PWD/s3 operator=o3 region=r3 country=fr" >>sites
	mkdir s3/"$set"
	cp m s3/"$set"/manifest
	mv s1/"$set"/0000000001.01.gef s3/"$set"
	expect 3 geverify -s sites m
	reported "misplaced - 1 1 s3 the manifest says it is at 's1'"
	told 'whole, but not where they should be: 1'
	told '9 of 9 fragments whole'
	expect 3 geverify -q -s sites -c 0.5 -O loss=0.5 m
	reported "misplaced - 1 1 s3 the manifest says it is at 's1'"
	mv s3/"$set"/0000000001.01.gef s1/"$set"
	# A country that is not allowed.
	{ echo .within fr; sed '/^s2/s/fr/us/' sites; } >within
	expect 3 geverify -q -s within m
	[ "$(sed 1d "$out" | cut -f 1,4- | sort -u)" = \
	    $'misplaced\t2\ts2\tthe site is not within the countries allowed' ]
	# Two sites of one operator.
	sed '/^s1/s/operator=o1/operator=o0/' sites >merged
	expect 3 geverify -s merged m
	[ "$(sed 1d "$out" | cut -f 1,3 | sort | uniq -c | awk '{ print $1, $2 }')" = \
	    "$(printf '1 misplaced\n%.0s' 1 2 3)" ]
	grep -q 'o0' "$out"
	told 'all sites of 0 more domains (operator) may vanish'
	# A site without a label that is a domain.
	sed 's/operator=o1//' sites >unlabelled
	expect 2 geverify -s unlabelled m
}

@test "geverify -s: a list of more than the rule bears is one site's word" {
	small
	touch "s0/$set"/000000000{1,2}.0{1,2}.gef
	for c in '' '-c 0.99'; do
		# shellcheck disable=SC2086	# a list of words
		expect 0 geverify $c -s sites m
		told "site 's0' lists more of segment 1 than the placement rule bears"
		[ "$(grep -c 'lists more' "$err")" -eq 1 ]
	done
	# What the manifest tells is none.
	echo "place 0 2-2 1=s0" >more
	echo "place 0 2-2 1=s1" >>more
	for s in 0 1 2; do
		cat m more >"s$s/$set/manifest"
	done
	cat m more >m2
	rm -rf "$XDG_STATE_HOME"
	expect 3 geverify -s sites m2
	told "the places of the past break the placement rule"
}

@test "geverify -s: sites that lack the manifest are told, and a degradation" {
	small
	rm s1/"$set"/manifest
	expect 3 geverify -s sites m
	reported
	told "geverify: site 's1': it lacks the manifest"
	[ "$(grep -c manifest "$err")" -eq 2 ]
	[ "$(tail -n 1 "$err")" = 'geverify: sites without the manifest: 1' ]
	expect 3 geverify -q -s sites m
	said "geverify: set $set: sites without the manifest: 1"
	# What is nothing of the set does no harm.
	cp m s1/"$set"/manifest
	echo >s0/"$set"/rubbish
	expect 0 geverify -s sites m
	told 'names at the sites that are nothing of the set: 1'
}

@test "geverify -s: a sample moves little, and says what it would have seen" {
	bytes 4000000 >in
	gefrag -k 2 -n 3 -b 4k -O payload=64k -d d in
	sites_of 3
	spread d
	expect 0 geverify -s sites m
	[ "$(received)" -gt 5800 ]
	expect 0 geverify -s sites -c 0.9 -O loss=0.1 m
	reported
	told 'sampled 22 of 1470 blocks; 93 of 93 fragments showed no damage in them'
	told 'had 9.94 % of the blocks been damaged'
	[ "$(received)" -lt 300 ]
	[ "$(received)" -gt 80 ]
	# The same without a manifest; the headers tell.
	rm s?/"$set"/manifest
	expect 3 geverify -s sites -c 0.9 -O loss=0.1 "$set"
	told 'sampled 22 of 1470 blocks; '
	# What the list shows to be wrong is looked at in any case.
	rm s2/"$set"/0000000003.02.gef
	truncate -s -5 s1/"$set"/0000000004.01.gef
	expect 3 geverify -s sites -c 0.9 -O loss=0.1 m
	grep -q $'^missing\t.*\t3\t2\ts2\t-' "$out"
	grep -q $'^corrupt\t.*\t4\t1\ts1\tcut after' "$out"
	# Every block of a third is damaged: it is seen.
	cp d/"$set"/*3.02.gef s2/"$set"
	cp d/"$set"/*4.01.gef s1/"$set"
	for f in s0/"$set"/*.gef; do
		for ((at = 2000; at < $(wc -c <"$f"); at += 4096)); do
			flip "$f" $at
		done
	done
	expect 3 geverify -s sites -c 0.999999 -O loss=0.3 m
	[ "$(grep -c 'blocks damaged$' "$out")" -gt 0 ]
	# As many as there are: everything.
	expect 3 geverify -s sites -c 0.9999 m
	told '1470 of 1470 blocks read'
}

@test "geverify -s: compressed sets are sampled as well" {
	words 400000 >in
	gefrag -z -k 2 -n 3 -b 4k -O payload=64k -d d in
	sites_of 3
	spread d
	expect 0 geverify -s sites m
	expect 0 geverify -q -s sites -O blind m
	expect 0 geverify -s sites -c 0.9 -O loss=0.5 m
	told 'sampled 4 of '
}

@test "geverify -s: plain sets, recipients and old shares" {
	keys
	bytes 20000 >in
	gefrag -p "${SMALL[@]}" -d d in
	sites_of 3
	spread d
	expect 0 geverify -q -s sites m
	expect 0 geverify -q -s sites -O blind m
	gefrag "${SMALL[@]}" -r anna.pub -r boris.pub -d e in
	spread e
	expect 0 geverify -q -s sites m
	rm s?/"$set"/manifest
	expect 3 geverify -q -s sites "$set"
	expect 3 geverify -q -s sites -O blind "$set"
	# As gerepair(1) tells.
	rm -r "$XDG_STATE_HOME"
	gepull -s sites "$set" | expect 3 gepush -s sites -O quorum=2
	cp "$out" m
	expect 0 gerepair -s sites m
	cp "$out" m
	expect 0 geverify -q -s sites m
}

@test "geverify -s: several sets, one report, the worst decides" {
	bytes 20000 >in
	gefrag "${SMALL[@]}" -N one -d d in
	sites_of 3
	spread d
	one=$set
	gefrag "${SMALL[@]}" -N two -d e in
	spread e
	expect 0 geverify -v -q -s sites "$one" two
	[ "$(sed 1d "$out" | cut -f 2 | uniq | wc -l)" -eq 2 ]
	[ "$(grep -c '^#' "$out")" -eq 1 ]
	rm s0/"$set"/*0.00.gef s1/"$one"/*1.01.gef s2/"$one"/*1.02.gef
	expect 3 geverify -q -s sites two
	expect 4 geverify -s sites two one
	[ "$(tail -n 1 "$err")" = 'geverify: sets that are not whole: 2 of 2' ]
	expect 4 geverify -q -s sites -O all
	[ "$(grep -c ^missing "$out")" -eq 3 ]
	expect 2 geverify -s sites -O all one
	expect 4 geverify -s sites three
	expect 4 geverify -q -s sites two three
	grep -q ^missing "$out"
}

@test "geverify: -O format=json is a line of JSON each" {
	command -v python3 >/dev/null || skip 'no python3'
	bytes 20000 >in
	gefrag "${SMALL[@]}" -N 'a "b" \ ü' -d d in
	sites_of 3
	spread d
	expect 0 geverify -q -s sites -O format=json m
	[ "$(wc -l <"$out")" -eq 1 ]
	rm s1/"$set"/0000000001.01.gef
	expect 3 geverify -q -s sites -O format=json m
	python3 - "$out" "$set" <<-'END'
	import json, sys
	line = [json.loads(l) for l in open(sys.argv[1])]
	assert line[0] == {"type": "fragment", "status": "missing",
	    "set": sys.argv[2], "segment": 1, "index": 1, "site": "s1",
	    "detail": "-"}
	s = line[1]
	assert s["type"] == "set" and s["status"] == 3 and s["k"] == 2
	assert s["fragments"]["missing"] == 1 and s["fragments"]["ok"] == 8
	assert s["named"] == "m" and "operand" not in s
	assert s["spare"] == 0 and s["spare_sites"] == 0
	assert s["label"] == 'a "b" \\ %C3%BC' and s["received"] > 20000
	END
	odd=$'o d%\n"\\x\xff'
	mv d "$odd"
	echo >>"$odd/$set/0000000000.00.gef"
	expect 3 geverify -q -v -O format=json "$odd" nowhere
	[ "$(wc -l <"$out")" -eq 11 ]
	python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]' <"$out"
	expect 2 geverify -O format=xml d
	said "geverify: format 'xml': not text, json or prometheus"
}

@test "geverify: -O format=prometheus is what node_exporter reads" {
	command -v python3 >/dev/null || skip 'no python3'
	bytes 20000 >in
	gefrag "${SMALL[@]}" -N 'a "b" \' -d d in
	sites_of 3
	spread d
	rm s1/"$set"/0000000001.01.gef
	expect 4 geverify -q -s sites -O format=prometheus -o prom m "$set" nope
	[ ! -s "$out" ]
	python3 - prom "$set" <<-'END'
	import re, sys
	kind, seen, last = {}, {}, None
	label = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
	sample = re.compile(r'(ge_[a-z_]+)\{(' + label + '(?:,' + label +
	    r')*)\} (-?[0-9.e+]+)\n')
	for l in open(sys.argv[1]):
	    m = re.match(r'# (HELP|TYPE) (ge_[a-z_]+) (.+)\n', l)
	    if m:
	        if m[1] == "HELP":
	            assert m[2] not in kind
	        kind[m[2]] = m[3]
	        last = m[2]
	        continue
	    m = sample.fullmatch(l)
	    assert m and m[1] == last and kind[last] == "gauge", l
	    seen.setdefault(m[1], []).append((m[2], float(m[3])))
	assert [v for k, v in seen["ge_fragments"] if 'state="missing"' in k
	    ] == [1, 1]
	assert [v for k, v in seen["ge_audit_status"]] == [3, 3, 4]
	assert seen["ge_spare_sites"][0][1] == 0
	assert 'label="a \\"b\\" \\\\"' in seen["ge_blocks"][0][0]
	END
	# The folders of one machine as well.
	expect 0 geverify -q -O format=prometheus d
	grep -qx "ge_fragments{set=\"$set\",label=\"\",state=\"ok\"} 9" "$out"
	fails grep -q ge_spare_sites "$out"
}

@test "geverify: -o is complete or absent, and -f replaces" {
	small
	rm s1/"$set"/0000000001.01.gef
	expect 3 geverify -q -s sites -o report m
	[ ! -s "$out" ]
	[ "$(sed -n 2p report | cut -f 1,3-)" = $'missing\t1\t1\ts1\t-' ]
	expect 2 geverify -q -s sites -o report m
	told "'report'"
	expect 0 geverify -q -f -o report d
	[ "$(cat report)" = "$HEADER" ]
	expect 2 geverify -q -o absent nowhere
	[ ! -e absent ]
	expect 2 geverify -s nowhere -o absent m
	[ ! -e absent ]
}

@test "geverify: options that are for sites, or not, are said to be" {
	small
	expect 2 geverify -x s1 d
	said 'geverify: -x and some of -O are for sites only: -s is missing'
	expect 2 geverify -O stall=3 d
	expect 2 geverify -s sites -O alone m
	said 'geverify: -O alone is not for sites'
	expect 2 geverify -s sites -x nowhere m
	told "-x 'nowhere'"
}

@test "check_ge: what Nagios wants to know" {
	small
	check=$GE_TOP/contrib/check_ge
	expect 0 "$check" -s sites m
	[ "$(wc -l <"$out")" -eq 1 ]
	grep -qE "^GETOOLS OK - 1 of 1 sets whole.* \\| .*missing=0;.* spare_sites=1;" \
	    "$out"
	rm s1/"$set"/0000000001.01.gef
	expect 1 "$check" -s sites m
	grep -qE '^GETOOLS WARNING - .*1 missing.* \| .*missing=1;' "$out"
	rm s2/"$set"/0000000001.02.gef
	expect 2 "$check" -s sites m
	grep -q '^GETOOLS CRITICAL - ' "$out"
	expect 3 "$check" -s nowhere m
	grep -q '^GETOOLS UNKNOWN - ' "$out"
	cp -r d/"$set"/*.gef s1/"$set"
	mv s2 away
	expect 2 "$check" -w 1 -s sites m
	grep -q unreachable "$out"
	expect 3 "$check"
}
