load helper
load servers

# gerepair -s: sites are folders s1, s2, ... unless a test says otherwise.

# sites_of N: a site each operator and region.
sites_of() {
	local i
	for ((i = 1; i <= $1; i++)); do
		mkdir "s$i"
		echo "site$i file://$PWD/s$i operator=op$i region=r$i country=fr"
	done >sites
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
}

# ready N K M OPTION ...: a set of three segments, K of M, at N sites, manifest in m.
ready() {
	sites_of "$1"
	K=$2
	M=$3
	[ -e in ] || bytes $((3 * (K * 4096 - 16) - 100)) >in
	gefrag -q -k "$K" -n "$M" -b 4k -O payload=4k "${@:4}" in >set.ge
	gepush -s sites set.ge >m
	name
}

name() {
	set=$(sed -n 's/^set //p' m)
}

# where SEGMENT INDEX: the number of the site that has it, as m says.
where() {
	awk -v s="$1" -v i="$2" '$1 == "place" {
	    split($3, r, "-")
	    if (s < r[1] || s > r[2])
		    next
	    for (f = 4; f <= NF; f++) {
		    split($f, p, "=")
		    if (p[1] == i)
			    at = p[2]
	    }
	} END { print substr(at, 5) }' m
}

# frag SEGMENT INDEX [EPOCH]: its name.  at SEGMENT INDEX: its file.
frag() {
	printf '%s/%010d.%02d%s.gef' "$set" "$1" "$2" "${3:+.$3}"
}

at() {
	echo "s$(where "$1" "$2")/$(frag "$1" "$2")"
}

# rule MANIFEST: no site has ever had more than k-1 indices of one epoch, and none
# has more than min(k-1, n-k) now.
rule() {
	awk '$1 == "code" { k = $3; n = $4; now = k - 1 < n - k ? k - 1 : n - k }
	$1 == "mode" && $2 == "plain" { plain = 1 }
	$1 == "place" {
	    split($3, r, "-")
	    for (s = r[1]; s <= r[2]; s++)
		    for (f = 4; f <= NF; f++) {
			    split($f, p, "=")
			    last[s, p[1]] = p[2]
			    if (!(($2, s, p[1], p[2]) in had)) {
				    had[$2, s, p[1], p[2]] = 1
				    ever[$2, s, p[2]]++
			    }
		    }
	} END {
	    for (x in ever)
		    if (ever[x] > k - 1 && !plain) {
			    print "ever", x, ever[x]
			    bad = 1
		    }
	    for (x in last) {
		    split(x, p, SUBSEP)
		    if (++have[p[1], last[x]] > (plain ? n - k : now)) {
			    print "now", x
			    bad = 1
		    }
	    }
	    exit bad
	}' "$1"
}

# listed: the same of what lies at the sites, which no manifest can hide.
listed() {
	find s* -name '*.gef' | sed -E \
	    's|^([^/]*)/.*/([0-9]{10})\.([0-9]{2})\.(([0-9]{3})\.)?gef|\2.\5 \1|' |
	    sort | uniq -c | awk -v k="$K" '$1 > k - 1 { print; bad = 1 }
	    END { exit bad }'
}

# back: whatever the sites have is enough for the input.
back() {
	gepull -q -s sites "${1-m}" | gejoin -q | cmp - in
}

# whole: nothing is wrong at the sites, by m.
whole() {
	expect 0 geverify -q -s sites m && back m && rule m
}

# follows OLD NEW: NEW is the manifest that comes after OLD.
follows() {
	[ "$(sed -n 's/^serial //p' "$2")" -eq \
	    $(($(sed -n 's/^serial //p' "$1") + 1)) ] &&
	    [ "$(sed -n 's/^previous //p' "$2")" = \
		"$(sha256sum <"$1" | cut -c 1-64)" ]
}

# all_have MANIFEST SITE ...: they have it, to the byte.
all_have() {
	local i
	for i in "${@:2}"; do
		cmp "$1" "s$i/$set/manifest" || return
	done
}

# figures: what was read, what was written.
figures() {
	sed -n 's/^gerepair: \([0-9]*\) bytes read, \([0-9]*\) written$/\1 \2/p' \
	    "$err"
}

repair() {
	gerepair -s sites "$@" </dev/null
}

@test "gerepair -s: wrong options and operands are answered" {
	ready 4 2 4
	expect 2 gerepair -s nope m </dev/null
	told nope
	expect 2 gerepair -x site1 d </dev/null
	said 'gerepair: -x is for sites: name them with -s'
	expect 2 repair
	said 'gerepair: which set? name a manifest, a set or a label, or pipe a report in'
	expect 2 repair -x nope m
	said "gerepair: -x 'nope': 'sites' has no such site"
	expect 2 repair m m
	expect 4 repair nothing
	said "gerepair: 'nothing': no such file, set or label"
	rm s?/"$set"/manifest
	expect 4 repair "$set"
	said 'gerepair: no manifest of this set is to be had: gerepair(1) tells how to make one'
	geverify -q -s sites m >report || true
	sed -i "s/	$set	/	00112233445566778899aabbccddeeff	/" report
	echo "missing	00112233445566778899aabbccddeeff	0	0	-	-" >>report
	expect 5 gerepair -s sites -O set="$set" m <report
	told 'the report is of another set than the one named, or of several'
}

@test "gerepair -s: a whole set is left as it is, its manifest comes out" {
	ready 4 2 4 -N tax
	for what in m "$set" "${set:0:8}" tax "-m m"; do
		tree . >"$BATS_TEST_TMPDIR/before"
		# shellcheck disable=SC2086
		expect 0 repair $what
		said
		cmp "$out" m
		tree . | diff "$BATS_TEST_TMPDIR/before" -
	done
	expect 0 bash -c "geverify -q -s sites m | gerepair -s sites m"
	cmp "$out" m
	expect 1 bash -c "gerepair -s sites m </dev/null >/dev/full"
	told 'No space left on device'
}

@test "gerepair -s: each kind of damage is mended in its place" {
	ready 6 3 6
	tree . >"$BATS_TEST_TMPDIR/before"
	n=0
	for hurt in 'rm F' 'truncate -s -1 F' 'truncate -s 100 F' 'truncate -s 0 F' \
	    'flip F 2000' 'flip F 70' 'flip F 57' 'echo x >>F' 'flip F 510' \
	    'echo foreign >F' 'cp OTHER F'; do
		f=$(at $((n % 3)) $((n % 5)))
		other=$(at $(((n + 1) % 3)) $((n % 5)))
		h=${hurt//F/$f}
		eval "${h//OTHER/$other}"
		if [ $((n % 2)) -eq 0 ]; then
			expect 0 repair m
		else
			expect 3 geverify -q -s sites m
			mv "$out" report
			expect 0 gerepair -s sites m <report
			rm report
		fi
		[ ! -s "$err" ]
		cmp "$out" m
		tree . | diff "$BATS_TEST_TMPDIR/before" - || { echo "$hurt"; return 1; }
		n=$((n + 1))
	done
	# Up to n-k of them, in every segment.
	rm "$(at 0 0)" "$(at 0 1)" "$(at 0 2)" "$(at 1 3)"
	flip "$(at 1 4)" 2000
	truncate -s 200 "$(at 1 5)"
	rm "$(at 2 5)"
	expect 0 repair -v m
	told '7 fragments rebuilt, 0 copied'
	tree . | diff "$BATS_TEST_TMPDIR/before" -
}

@test "gerepair -s: manifests that sites lack or have old are put there" {
	ready 4 2 4
	sed '/^place/d;s/^serial .*/serial 0/;s/^previous .*/previous -/' m >bare
	rm "s1/$set/manifest"
	cp bare "s2/$set/manifest"
	echo junk >"s3/$set/manifest"
	expect 0 repair m
	cmp m "$out"
	all_have m 1 2 3 4
	# Another of the same serial, of one site alone, is nothing.
	sed 's/^created 2/created 1/' m >m2
	cp m2 "s2/$set/manifest"
	expect 0 repair m
	cmp m "$out"
	all_have m 1 2 3 4
	# Most sites tell of places: a third comes after both and tells all.
	cp m m2
	echo "place 0 0-0 0=site$(where 0 0)" >>m2
	cp m2 "s2/$set/manifest"
	cp m2 "s3/$set/manifest"
	expect 0 repair m
	cmp m "$out"
	for i in 2 3 4; do
		cp m2 "s$i/$set/manifest"
	done
	expect 0 repair m
	follows m "$out"
	all_have "$out" 1 2 3 4
	cp "$out" m3
	grep ^place m2 | grep -vxFf m3 | diff /dev/null -
	expect 0 repair m
	cmp m3 "$out"
	# Places at sites that nobody knows are nothing either.
	cp m3 m
	sed "\$s/=site.*/=site99/" m2 | sed 's/^serial .*/serial 1/' >m4
	sed -i "s/^previous .*/$(grep ^previous m3)/" m4
	for i in 2 3 4; do
		cp m4 "s$i/$set/manifest"
	done
	expect 0 repair m
	cmp m "$out"
	all_have m 1 2 3 4
}

@test "gerepair -s: what one site has of a manifest is not remembered" {
	ready 4 2 4
	state=$BATS_TEST_TMPDIR/state/getools
	[ -e "$state/$set" ]
	rm -r "$state"
	for i in 2 3 4; do
		rm "s$i/$set/manifest"
		mkdir -p "s$i/$set/manifest/in the way"
	done
	expect 3 repair "$set"
	[ ! -e "$state/$set" ]
	rm -r s2/"$set"/manifest s3/"$set"/manifest
	expect 3 repair "$set"
	grep -q "^$(sed -n 's/^serial //p' m) " "$state/$set"
}

@test "gerepair -s: a manifest of a newer format is not replaced" {
	ready 4 2 4
	sed '1s/1$/2/' m >newer
	cp newer "s2/$set/manifest"
	expect 3 repair m
	told "site 'site2' has not got the manifest: one of a newer format is there"
	cmp newer "s2/$set/manifest"
	cmp m "$out"
	all_have m 1 3 4
	# That is none.
	sed '1s/1$/x/' m >"s2/$set/manifest"
	expect 0 repair m
	all_have m 1 2 3 4
}

@test "gerepair -s: the greatest serial is a liar's, and no end" {
	ready 5 2 4
	max=18446744073709551615
	sed "s/^serial .*/serial $max/;s/^previous .*/previous $(printf %064d 5)/" m >last
	for what in m "$set"; do
		cp last "s2/$set/manifest"
		rm -rf "$BATS_TEST_TMPDIR/state"
		expect 0 repair $what
		cmp m "$out"
		all_have m 1 2 3 4 5
	done
	cp last "s2/$set/manifest"
	x=$(where 0 0)
	expect 0 repair -x "site$x" m
	follows m "$out"
	cp "$out" m
	back m
	# Who names it himself is told.
	rm -rf "$BATS_TEST_TMPDIR/state"
	sed "s/^serial .*/serial $max/" m >last
	x=$(where 0 0)
	expect 5 repair -x "site$x" last
	told 'no serial comes after that of the manifest'
}

@test "gerepair -s: the greatest serial of one site is less than another of more" {
	ready 6 2 4
	for i in 4 5 6; do
		rm "s$i/$set/manifest"
	done
	sed "s/^serial .*/serial 18446744073709551614/
	    s/^previous .*/previous $(printf %064d 5)/" m >"s6/$set/manifest"
	rm -r "$BATS_TEST_TMPDIR/state"
	expect 0 repair "$set"
	cmp m "$out"
	all_have m 1 2 3 4 5 6
}

@test "gerepair -s: one lost site costs k fragments a segment, and writes one" {
	ready 7 3 6
	f=$(stat -c %s "$(at 0 0)")
	geverify -q -s sites m >/dev/null
	for i in 0 1 2; do
		rm "$(at $i $i)"
	done
	geverify -q -s sites m >report || true
	expect 0 gerepair -v -s sites m <report
	read -r r w <<<"$(figures)"
	[ "$r" -le $((3 * 3 * f)) ]
	[ "$w" -eq $((3 * f)) ]
	cmp "$out" m
	whole
}

@test "gerepair -s: -t tells and changes nothing" {
	ready 5 2 4
	rm "$(at 0 1)"
	flip "$(at 1 2)" 2000
	site=$(where 2 3)
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 0 repair -t m
	said
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	sed 1d "$out" | cut -f 1,3,4,6 | diff - <(
		printf 'missing\t0\t1\tin place\ncorrupt\t1\t2\tin place\n')
	expect 0 repair -t -x "site$site" m
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	sed 1d "$out" | grep -qP "^misplaced\t$set\t2\t3\tsite$site\tto another site"
}

@test "gerepair -s: a site that does not answer is left; -x gives it up" {
	ready 6 2 4
	dead=$(where 0 0)
	n=$(find "s$dead" -name '*.gef' | wc -l)
	mv "s$dead" away
	expect 1 repair m
	[ "$(tail -n 1 "$err")" = "gerepair: $n fragments are at sites that do not answer and were left: -x SITE gives them another" ]
	cmp "$out" m
	[ ! -e "s$dead" ]
	expect 0 repair -v -x "site$dead" m
	told "$n fragments rebuilt, 0 copied"
	mv "$out" new
	follows m new
	rule new
	listed
	mv new m
	back m
	fails grep -q "^place.*=site$dead" <(tail -n 1 m)
	expect 0 geverify -q -s sites -x "site$dead" m
	# It comes back, with what it had: history.
	mv away "s$dead"
	expect 3 geverify -q -s sites m
	expect 0 repair m
	whole
}

@test "gerepair -s: that a site which is given up does not answer is no news" {
	ready 6 2 4
	dead=$(where 0 0)
	mv "s$dead" away
	expect 0 repair -x "site$dead" m
	fails grep -F 'passed over' "$err"
}

@test "gerepair -s: a healthy site is emptied by copying" {
	ready 6 2 4
	old=$(where 1 1)
	n=$(find "s$old" -name '*.gef' | wc -l)
	f=$(stat -c %s "s$old/"*/*.gef | awk '{ s += $1 } END { print s }')
	expect 0 repair -v -x "site$old" m
	told "0 fragments rebuilt, $n copied"
	[ "$(figures)" = "$f $f" ]
	follows m "$out"
	cp "$out" m
	rule m
	listed
	# What was copied is as it was; nothing is deleted there.
	for x in "s$old/$set/"*.gef; do
		[ "$(cat s*/"$set/${x##*/}" | wc -c)" -eq \
		    $((2 * $(stat -c %s "$x"))) ]
	done
	rm -r "s$old"
	mkdir "s$old"
	expect 0 geverify -q -s sites -x "site$old" m
	back m
}

@test "gerepair -s: a wrong share at a site that is emptied is not copied" {
	ready 6 2 4
	old=$(where 1 1)
	for x in "s$old/$set/"*.gef; do
		flip "$x" $((96 + 64 * 4))
	done
	expect 0 repair -v -x "site$old" m
	told ' 0 copied'
	cp "$out" m
	expect 0 geverify -q -s sites -x "site$old" m
}

@test "gerepair -s: compressed, plain, recipients, copies, empty input" {
	keys
	words 60000 >in
	for how in "-z -k 2 -n 4" "-p -k 2 -n 4" "-r anna.pub -k 2 -n 4" \
	    "-p -k 1 -n 3"; do
		rm -rf s? sites set.ge "$BATS_TEST_TMPDIR/state"
		sites_of 6
		# shellcheck disable=SC2086
		gefrag -q -b 4k -O payload=16k $how in >set.ge
		gepush -s sites set.ge >m
		name
		tree . >"$BATS_TEST_TMPDIR/before"
		rm "$(at 0 0)"
		flip "$(at 0 1)" $(($(stat -c %s "$(at 0 1)") - 1))
		# k = 1 bears more.
		expect 0 repair m
		cmp "$out" m
			tree . | diff "$BATS_TEST_TMPDIR/before" -
		dead=$(where 0 0)
		rm -r "s$dead"
		expect 0 repair -x "site$dead" m
		cp "$out" m
		rule m
		expect 0 geverify -q -s sites -x "site$dead" m
		gepull -q -s sites m | gejoin -q -i anna.pem | cmp - in
	done
	rm -rf s? sites in
	: >in
	ready 5 2 4
	rm "$(at 0 3)"
	expect 0 repair m
	whole
}

@test "gerepair -s: blind repair has no share, a later one adds it" {
	ready 6 2 4
	tree . >"$BATS_TEST_TMPDIR/before"
	rm "$(at 0 0)" "$(at 1 1)"
	expect 3 repair -O blind m
	said 'gerepair: rebuilt without key shares: 2'
	cmp "$out" m
	back m
	[ "$(od -An -v -tx1 -j 352 -N 32 "$(at 0 0)" | tr -d ' \n0')" = '' ]
	expect 0 repair m
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	# A site is emptied: it is rebuilt, as a copy would be read.
	old=$(where 0 0)
	expect 3 repair -v -O blind -x "site$old" m
	told ' 0 copied'
	# Without shares nothing can be given a new epoch.
	rm -rf s? sites set.ge in "$BATS_TEST_TMPDIR/state"
	ready 3 2 3
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 5 repair -O blind -x site1 m
	# Plain sets have nothing to hide.
	rm -rf s? sites set.ge in "$BATS_TEST_TMPDIR/state"
	ready 5 2 4 -p
	rm "$(at 0 0)"
	expect 0 repair -O blind m
	whole
}

@test "gerepair -s: blind repair asks no site for a share" {
	nine dav
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 8000 >in
	gefrag -q -k 2 -n 4 -b 4k -O payload=4k in >set.ge
	gepush -s sites set.ge >m
	name
	for i in 1 2 3 4 5 6 7 8 9; do
		fault $i '[]'
	done
	site_rm "$(where 0 0)" "$(frag 0 0)"
	expect 3 repair -O blind m
	for i in 1 2 3 4 5 6 7 8 9; do
		fault_log $i
	done >log
	grep GET log | grep '\.gef' >gets
	python3 - gets <<-'END2'
	import json, re, sys
	share = (96 + 64 * 4, 96 + 64 * 4 + 32)
	n = 0
	for l in open(sys.argv[1]):
	    r = json.loads(l)
	    if '.00.gef' in r['path']:	# the one that was made: no share in it
	        continue
	    m = re.search(r'(\d+)-(\d+)', r.get('range') or '')
	    assert m, l
	    assert int(m[2]) < share[0] or int(m[1]) >= share[1], l
	    n += 1
	assert n > 2
	END2
}

@test "gerepair -s: lost segments are told, the others mended" {
	ready 5 2 4
	rm "$(at 1 0)" "$(at 1 1)" "$(at 1 2)" "$(at 0 3)" "$(at 2 0)"
	expect 4 repair m
	[ "$(tail -n 1 "$err")" = 'gerepair: segment 1: 2 good fragments are needed, 1 can be had' ]
	cmp "$out" m
	[ -e "$(at 0 3)" ]
	[ -e "$(at 2 0)" ]
	[ ! -e "$(at 1 0)" ]
}

@test "gerepair -s: what breaks the rule, or lies elsewhere, is put right" {
	ready 6 3 6
	# All at its place, but two sites have become one operator's.
	a=$(where 0 0) b=$(where 0 1)
	f=$(frag 0 0)
	# By hand from one site to another: found, not made again.
	mkdir -p s9 && echo "site9 file://$PWD/s9 operator=op9 region=r9 country=fr" >>sites
	mkdir "s9/$set"
	mv "s$a/$f" "s9/$f"
	expect 3 geverify -q -s sites m
	grep -q '^misplaced' "$out"
	expect 0 repair -v m
	told '1 fragments were found at another place'
	told ' 0 bytes read, 0 written'
	follows m "$out"
	cp "$out" m
	[ "$(where 0 0)" = 9 ]
	whole
	# A country that is not allowed any more.
	sed -i '$s/=fr/=us/;1i .within fr' sites
	expect 3 geverify -q -s sites m
	expect 0 repair m
	cp "$out" m
	[ "$(where 0 0)" != 9 ]
	rule m
	back m
	# Not this many sites: refused, and nothing is changed.
	tree s1 >before
	expect 5 repair -x site1 -x site2 -x site3 -x site4 m
	tree s1 | diff before -
}

@test "gerepair -s: a site that the sites file lacks is left alone" {
	ready 6 2 4
	n=$(find s1 -name '*.gef' | wc -l)
	cp sites all
	sed -i 1d sites
	expect 1 repair m
	said "gerepair: $n fragments are at sites that the sites file lacks and were left: add their lines; then -x SITE gives them another"
	cp all sites
	whole
}

@test "gerepair -s: new shares when the rule leaves no other way" {
	ready 4 2 3
	for x in 1 2 3 4 1 2 3; do
		expect 0 repair -v -x site$x m
		follows m "$out"
		cp m old
		cp "$out" m
		rule m
		back m
		expect 3 geverify -q -s sites m	# the one given up lacks the manifest
		expect 0 geverify -q -s sites -x site$x m
		listed
		# Of a segment that has new shares none of the old is left.
		find s? -name '*.gef' | sed -E 's|.*/([0-9]+)\.[0-9]+\.?([0-9]*)\.?gef|\1 \2|' |
		    sort -u | cut -d ' ' -f 1 | uniq -d | diff /dev/null -
	done
	find s? -name '*.003.gef' | grep -q .
	grep -q '^place 3 ' m
	expect 0 repair m
	whole
}

@test "gerepair -s: with a site silent the old shares stay" {
	ready 4 2 3
	expect 0 repair -x site1 m
	cp "$out" m
	find s? -name '*.0??.gef' | grep -v '\.0[0-2]\.gef' | diff /dev/null -
	mv s3 away
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 1 repair -x site2 m
	told 'the old stay'
	told 'fragments are at sites that do not answer and were left'
	cp "$out" new
	mv away s3
	[ "$(find s? -name '*.gef' | grep -cv '\.[0-9][0-9]\.gef')" -ge 0 ]
	gepull -q -s sites new | gejoin -q | cmp - in
	rule new
	listed
	cp new m
	expect 0 repair -x site2 m
	cp "$out" m
	back m
	rule m
	listed
	# The old ones that stayed.
	expect 0 repair -x site2 m
	cp "$out" m
	back m
	expect 0 geverify -q -s sites -x site2 m
}

@test "gerepair -s: old shares that a killed repair left are destroyed" {
	ready 4 2 3
	expect 0 repair -x site1 m
	cp "$out" m
	for i in 1 2 3 4; do
		cp -r s$i old$i
	done
	expect 0 repair -x site2 m
	cp "$out" m
	old=$(find s? -name '*.gef' | sort)
	for i in 1 2 3 4; do
		cp -n old$i/"$set"/*.gef s$i/"$set"
	done
	[ "$(find s? -name '*.gef' | sort)" != "$old" ]
	n=$(find s? -name '*.gef' | sort | comm -23 - <(echo "$old") | wc -l)
	expect 3 geverify -q -s sites m
	said "geverify: set $set: old shares that are still there: $n"
	grep -P '^stale\t.*\tan old share is still there$' "$out" |
	    sed -E 's/^stale\t([^\t]*)\t([^\t]*)\t([^\t]*)\tsite(.).*/s\4 \2 \3/' |
	    sort | diff - <(find s? -name '*.gef' | sort |
	    comm -23 - <(echo "$old") | sed -E \
	    's|^(s.)/[^/]*/0*([0-9]+)\.0([0-9]).*|\1 \2 \3|' | sort)
	[ "$(sed 1d "$out" | wc -l)" -eq "$n" ]
	cp "$out" report
	cp -r s1 s2 s3 s4 "$BATS_TEST_TMPDIR/tmp"
	expect 0 repair -v m
	told 'old shares destroyed'
	diff <(find s? -name '*.gef' | sort) <(echo "$old")
	whole
	# The same by the report.
	rm -r s?
	mv "$BATS_TEST_TMPDIR"/tmp/s? .
	expect 0 gerepair -q -s sites m <report
	diff <(find s? -name '*.gef' | sort) <(echo "$old")
	whole
	# Not while one of the new is not there: five old and four new open nothing.
	for i in 1 2 3 4; do
		cp -n old$i/"$set"/*.gef s$i/"$set"
	done
	new=$(find s? -name '*.001.gef' | head -n 1)
	rm "$new"
	seg=${new##*/}
	seg=${seg%%.*}
	find s? -type f -name "$seg.*" | grep -v 001 | sort >stay
	[ -s stay ]
	mkdir s{1,2,3,4}/"$set/${new##*/}"	# in its way wherever it may go
	expect 3 repair m
	find s? -type f -name "$seg.*" | grep -v 001 | sort | diff stay -
	rmdir s{1,2,3,4}/"$set/${new##*/}"
	expect 0 repair m
	diff <(find s? -name '*.gef' | sort) <(echo "$old")
	whole
}

@test "gerepair -s: killed at any moment, run again it converges" {
	ready 5 2 4
	for round in 1 2 3; do
		x=$((round + 1))
		rm -f "$(at 0 0)"
		for i in 0.001 0.003 0.005 0.007 0.009 0.012 0.015 0.018 0.022 \
		    0.026 0.03; do
			timeout -s KILL $i gerepair -s sites -x site$x m \
			    </dev/null >new 2>/dev/null || true
			back m
			listed
		done 2>/dev/null
		expect 0 repair -x site$x m
		cp "$out" m
		back m
		rule m
		listed
		expect 0 geverify -q -s sites -x site$x m
	done
}

@test "gerepair -s: killed while it gives new shares, the set stays readable" {
	ready 4 2 3
	for round in 1 2 3 4 5; do
		x=$((round % 4 + 1))
		find s? -name '*.gef' ! -path "s$x/*" | sort |
		    sed -n "${round}p" | xargs rm
		for i in 0.005 0.008 0.011 0.014 0.017 0.02 0.024 0.028; do
			timeout -s KILL $i gerepair -s sites -x site$x m \
			    </dev/null >new 2>/dev/null || true
			back m
			listed
		done 2>/dev/null
		expect 0 repair -x site$x m
		cp "$out" m
		back m
		rule m
		listed
		expect 0 geverify -q -s sites -x site$x m
	done
}

@test "gerepair -s: new shares that no manifest tells of are taken up" {
	ready 4 2 3
	expect 0 repair -x site1 m
	cp "$out" m
	rm -r "$BATS_TEST_TMPDIR/state"
	cp m old
	expect 0 repair -x site2 m
	grep -q '^place 1' "$out"
	find s? -name '*.001.gef' | sort >new
	rm -r "$BATS_TEST_TMPDIR/state"
	for i in 1 2 3 4; do
		cp old s$i/"$set"/manifest
	done
	expect 0 repair -v -x site2 old
	told 'fragments were found at another place'
	told ' 0 segments given new shares'
	cp "$out" m
	rule m
	find s? -name '*.001.gef' | sort | diff new -
	expect 0 geverify -q -s sites -x site2 m
	back m
}

@test "gerepair -s: two at once do no harm" {
	ready 7 2 4
	for round in 1 2 3 4; do
		x=$((round + 2))
		rm -f "$(at 0 0)" "$(at 1 1)" "$(at 2 2)"
		gerepair -q -s sites -x site$x m </dev/null >m1 2>e1 3>&- &
		one=$!
		gerepair -q -s sites -x site$x m </dev/null >m2 2>e2 3>&- || true
		wait $one || true
		back m
		listed
		expect 0 repair -x site$x m
		cp "$out" m
		expect 0 repair -x site$x m
		cmp "$out" m
		back m
		rule m
		listed
		expect 0 geverify -q -s sites -x site$x m
	done
}

@test "gerepair -s: two different manifests of one serial become one" {
	ready 6 2 4
	cp -r s1 s2 s3 s4 s5 s6 "$BATS_TEST_TMPDIR/tmp"
	a=$(where 0 0) b=$(where 1 1)
	expect 0 repair -x "site$a" m
	cp "$out" ma
	for i in 1 2 3 4 5 6; do
		rm "s$i/$set/manifest"
		cp m "s$i/$set/manifest"
	done
	rm -r "$BATS_TEST_TMPDIR/state"
	if [ "$a" = "$b" ]; then
		b=$(where 1 2)
	fi
	expect 0 repair -x "site$b" m
	cp "$out" mb
	cmp ma mb && return 1
	cp ma "s1/$set/manifest"
	rm -r "$BATS_TEST_TMPDIR/state"
	expect 0 repair ma
	cp "$out" m
	# What either says of the past is in it.
	for f in ma mb; do
		grep ^place $f | grep -vxFf m | diff /dev/null -
	done
	all_have m 1 2 3 4 5 6
	rule m
	back m
	expect 0 repair m
	cmp m "$out"
}

@test "gerepair -s: a site that invents a manifest gets no second index" {
	ready 6 2 4
	evil=$(where 0 0)
	i=1
	[ "$(where 0 1)" != "$evil" ] || i=2
	# It never had what it has: it has another.
	sed -E "s/^serial .*/serial 7/;s/^previous .*/previous $(printf %064d 0)/
	    s/ ([0-9])=site$evil( |\$)/ \1=site9\2/g" m >forged
	echo "place 0 0-2 $i=site$evil" >>forged
	cp forged "s$evil/$set/manifest"
	rm -r "$BATS_TEST_TMPDIR/state"
	for what in m "$set"; do
		repair $what >new 2>"$err" || true
		listed
		back m
		# The truth is not forgotten.
		[ ! -s new ] || grep ^place m | grep -vxFf new | diff /dev/null -
	done
}

@test "gerepair -s: signed sets want the key for a new manifest" {
	keys
	sites_of 6
	K=2
	bytes 20000 >in
	gefrag -q -k 2 -n 4 -b 4k -O payload=4k -S sign.pem in >set.ge
	gepush -s sites -S sign.pem set.ge >m
	name
	rm "$(at 0 0)"
	expect 0 repair -V sign.pub m
	said
	cmp m "$out"
	expect 5 repair -V other.pub m
	x=$(where 0 0)
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 5 repair -V sign.pub -x "site$x" m
	told 'give the key with -S'
	[ ! -s "$out" ]
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	expect 0 repair -V sign.pub -S sign.pem -x "site$x" m
	said
	follows m "$out"
	cp "$out" m
	tail -n 1 m | grep -q '^signature ed25519'
	expect 0 geverify -q -s sites -V sign.pub -x "site$x" m
	# Who made it signed it: then nobody else's may follow, asked for or not.
	x=$(where 0 0)
	tree . >"$BATS_TEST_TMPDIR/before"
	for opts in '' -t; do
		expect 5 repair $opts -x "site$x" m
		told 'give the key with -S'
		fails grep -q ^serial "$out"
		tree . | diff "$BATS_TEST_TMPDIR/before" -
	done
	expect 5 repair -x "site$x" "$set"
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	# What needs no new manifest is mended.
	rm "$(at 0 0)"
	expect 0 repair m
	cmp m "$out"
	expect 0 repair -S sign.pem -x "site$x" m
	follows m "$out"
	cp "$out" m
	expect 0 geverify -q -s sites -V sign.pub -x "site$x" m
}

@test "gerepair -s: without the key a fragment of a signed set moves nowhere else" {
	nine dav
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	keys
	bytes 8000 >in
	gefrag -q -k 2 -n 4 -b 4k -O payload=4k -S sign.pem in >set.ge
	gepush -s sites -S sign.pem set.ge >m
	name
	x=$(where 0 0)
	site_rm "$x" "$(frag 0 0)"
	fault "$x" '[{"method": "PUT", "path": "gef", "status": 507}]'
	for v in '' '-V sign.pub'; do
		expect 3 repair $v -O tries=1 m
		told 'segment 0, fragment 0: no site takes it'
		cmp m "$out"
	done
	fault "$x" '[]'
	expect 0 repair m
	cmp m "$out"
	expect 0 geverify -q -s sites -V sign.pub m
}

@test "gerepair -s: a site that fails to take a fragment is passed over" {
	nine dav
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 8000 >in
	gefrag -q -k 2 -n 4 -b 4k -O payload=4k in >set.ge
	gepush -s sites set.ge >m
	name
	cp m m0
	x=$(where 0 0)
	for rule in '"status": 503' '"status": 507' '"cut_up": 500' '"lost_reply": true' \
	    '"status": 200' '"empty": true' '"flip_up": 2000'; do
		cp m0 m
		rm -r "$XDG_STATE_HOME"
		for i in 1 2 3 4 5 6 7 8 9; do
			[ "$i" = "$x" ] || site_put $i "$set/manifest" m0
			for f in $(site_names $i | grep '\.00\.gef' || true); do
				[ "$i" = "$x" ] || site_rm $i "$f"
			done
			fault $i '[]'
		done
		# Where would it go?  There it fails.
		expect 0 repair -O tries=1 -x "site$x" m
		cp "$out" m
		to=$(where 0 0)
		site_rm "$to" "$(frag 0 0)"
		cp m0 m
		rm -r "$XDG_STATE_HOME"
		for i in 1 2 3 4 5 6 7 8 9; do
			[ "$i" = "$x" ] || site_put $i "$set/manifest" m0
		done
		fault "$to" "[{\"method\": \"PUT\", \"path\": \"gef\", $rule}]"
		expect 0 repair -O tries=1 -x "site$x" m
		cp "$out" m
		rule m
		back m
		fault "$to" '[]'
		expect 0 geverify -q -s sites -x "site$x" m
	done
}

@test "gerepair -s: S3, SFTP, WebDAV and folders together" {
	nine mixed
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 40000 >in
	gefrag -q -k 4 -n 8 -b 4k -O payload=4k in >set.ge
	gepush -s sites set.ge >m
	name
	for i in 0 1 2; do
		site_rm "$(where 0 $i)" "$(frag 0 $i)"
		site_flip "$(where 1 $((i + 2)))" "$(frag 1 $((i + 2)))" 2000
	done
	expect 0 repair m
	cmp "$out" m
	whole
	site_kill 1
	expect 1 repair -O tries=1 m
	expect 0 repair -O tries=1 -x site1 -x site4 m
	follows m "$out"
	cp "$out" m
	rule m
	back m
	expect 0 geverify -q -O tries=1 -s sites -x site1 -x site4 m
}

# leftovers: new shares everywhere, and the old beside them again, as a repair leaves
# them that is killed before it removes them.
leftovers() {
	ready 4 2 3
	expect 0 repair -x site1 m
	cp "$out" m
	local i
	for i in 1 2 3 4; do
		cp -r s$i old$i
	done
	expect 0 repair -x site2 m
	cp "$out" m
	find s? -name '*.gef' | sort >new
	for i in 1 2 3 4; do
		cp -n old$i/"$set"/*.gef s$i/"$set"
	done
	find s? -name '*.gef' | sort >both
	fails cmp -s new both
}

@test "gerepair -s: old shares stay while the new ones are not proved" {
	leftovers
	# The shares of the new ones have rotted.
	for f in $(comm -12 new both | grep '\.001\.gef'); do
		flip "$f" $((96 + 64 * 3))
	done
	repair -O blind m >/dev/null 2>"$err" || true
	find s? -name '*.gef' | sort | comm -23 both - | diff /dev/null -
	gejoin -q s? | cmp - in
	repair m >/dev/null 2>"$err" || true
	find s? -name '*.gef' ! -name '*.001.gef' | sort |
	    comm -13 - <(grep -v '\.001\.gef' both) | diff /dev/null -
	gejoin -q s? | cmp - in
}

@test "gerepair -s: blind, nothing is destroyed" {
	leftovers
	expect 0 repair -O blind m
	find s? -name '*.gef' | sort | diff both -
	expect 0 repair m
	find s? -name '*.gef' | sort | diff new -
	whole
}

@test "gerepair -s: with a report, too, old shares that were left are destroyed" {
	leftovers
	seg=$(comm -13 new both | head -n 1)
	seg=${seg##*/}
	seg=$((10#${seg%%.*}))
	rm "$(find s? -name "$(printf '%010d' $(((seg + 1) % 3))).00*.gef" |
	    comm -12 new - | head -n 1)"
	geverify -q -s sites m >report || true
	expect 0 gerepair -s sites m <report
	find s? -name "$(printf '%010d' $seg).*" | sort |
	    diff <(grep "$(printf '%010d' $seg)" new) -
	expect 0 repair m
	find s? -name '*.gef' | sort | diff new -
	whole
}

@test "gerepair -s: old shares stay until more than half of all sites know" {
	ready 6 2 3
	expect 0 repair -x site4 -x site5 -x site6 m
	cp "$out" m
	for i in 0 1 2; do
		had[i]=$(where 0 $i)
	done
	expect 0 repair -x site1 -x site2 -x site3 m
	cp "$out" m
	for i in 0 1 2; do
		[ "$(where 0 $i)" != 6 ] || x=$((had[i] % 3 + 1))
	done
	find s? -name '*.gef' | sort >before
	repair -v -x "site$x" -x site4 -x site5 m >new 2>"$err" || true
	fails grep -q ' 0 segments given new shares' "$err"
	told 'too few sites have the new manifest: the old shares stay'
	find s? -name '*.gef' | sort | comm -23 before - | diff /dev/null -
}

# again: the sites as they were, with manifest m0, and nothing remembered.
again() {
	local i f
	rm -rf "$XDG_STATE_HOME"
	for i in 1 2 3 4 5 6 7 8 9; do
		fault $i '[]'
		[ "$i" = "$1" ] || site_put $i "$set/manifest" m0
		for f in $(site_names $i | grep '\.00\.gef' || true); do
			[ "$i" = "$1" ] || site_rm $i "$f"
		done
	done
	cp m0 m
}

# sent SITE SEGMENT: the indices that it was asked to take, by its log.
sent() {
	fault_log "$1" | grep '"PUT"' |
	    grep -o "$(printf '%010d' "$2")\.[0-9][0-9][0-9.]*gef" | sort -u
}

@test "gerepair -s: a site that denies what it was given has had it" {
	nine dav
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 8000 >in
	gefrag -q -k 2 -n 4 -b 4k -O payload=4k in >set.ge
	gepush -s sites set.ge >m
	name
	cp m m0
	x=$(where 0 0)
	again "$x"
	expect 0 repair -O tries=1 -x "site$x" m
	cp "$out" m
	to=$(where 0 0)
	again "$x"
	fault "$to" '[{"method": "PUT", "path": "gef", "status": 403}]'
	for i in 0 1 2 3 0 1 2 3; do
		expect 0 repair -O tries=1 -x "site$(where 0 $i)" m
		cp "$out" m
		rule m
		find "$XDG_STATE_HOME" -name '*.tried' | diff /dev/null -
	done
	grep -q "^place 0 .*=site$to" m
	[ "$(sent "$to" 0 | grep -cv '\.[0-9][0-9][0-9]\.gef')" -le 1 ]
	# Where nothing has moved it is told all the same.
	again "$x"
	cp m0 m
	for i in 1 2 3 4 5 6 7 8 9; do
		fault $i '[{"method": "PUT", "path": "gef", "status": 403}]'
	done
	expect 3 repair -O tries=1 -x "site$x" m
	cp "$out" m
	follows m0 m
	rule m
	[ "$(where 0 0)" = "$x" ]
	[ "$(grep -c '^place 0 0-0 0=' m)" -ge 2 ]
	expect 3 repair -O tries=1 -x "site$x" m
	rule "$out"
}

@test "gerepair -s: what one site invents night after night costs nothing" {
	ready 6 2 4
	evil=$(where 0 0)
	i=1
	for x in 1 2 3; do
		# A new rival: everybody has had everything.
		cp m forged
		for s in 1 2 3 4 5 6; do
			echo "place 0 0-2 $x=site$s"
		done >>forged
		serial=$(($(sed -n 's/^serial //p' m) + x))
		sed -i "s/^serial .*/serial $serial/
		    s/^previous .*/previous $(printf %064d $x)/" forged
		cp forged "s$evil/$set/manifest"
		expect 0 repair -v m
		cmp m "$out"
		cmp m "s$evil/$set/manifest"
		cp forged "s$evil/$set/manifest"
		[ "$evil" != "$x" ] || continue
		cp m old
		expect 0 repair -v -x "site$x" m
		told ' 0 segments given new shares'
		cp "$out" m
		rule m
		fails grep -F "$(tail -n 1 forged)" m
		[ "$(grep -c ^place m)" -le $(($(grep -c ^place old) + 3)) ]
	done
	back m
}

@test "gerepair -s: what a few sites invent of everybody is nobody's past" {
	ready 9 4 8
	rm -r "$BATS_TEST_TMPDIR/state"
	# An older one, and a newer.
	for serial in 0 2; do
		sed "s/^serial .*/serial $serial/
		    s/^previous .*/previous $(printf %064d 5)/" m >forged
		[ $serial -gt 0 ] || sed -i 's/^previous .*/previous -/' forged
		for s in 1 2 3 4 5 6 7 8 9; do
			for e in 0 255; do
				echo "place $e 0-2$(printf " %d=site$s" 0 1 2 3 4 5 6)"
			done
		done >>forged
		for s in 7 8 9; do
			cp forged "s$s/$set/manifest"
		done
		x=$(where 0 0)
		expect 0 repair -x "site$x" "$set"
		follows m "$out"
		fails grep -F "$(tail -n 1 forged)" "$out"
		cp "$out" m
		rule m
	done
	back m
}

@test "gerepair -s: what other manifests tell is the past, whatever its epoch" {
	ready 4 2 4
	x=$(where 0 0)
	cp m m2
	printf 'place %d 0-0 %d=site%d\n' 3 0 "$x" 1 0 "$((x % 4 + 1))" >>m2
	for i in 1 2 3; do
		cp m2 "s$i/$set/manifest"
	done
	expect 0 repair m
	follows m "$out"
	grep ^place m2 | grep -vxFf "$out" | diff /dev/null -
	cp "$out" m
	[ "$(tail -n 1 m)" = "place 0 0-0 0=site$x" ]
	whole
	expect 0 repair m2
	cmp m "$out"
	# Where it stands alone it would be the present.
	cp m2 m
	sed -i -E "/^place 0 /s/ 3=site[0-9]+//;/^place [13] /d" m
	echo "place 1 1-1 2=site$x 3=site$((x % 4 + 1))" >>m2
	for i in 1 2 3 4; do
		cp m2 "s$i/$set/manifest"
		rm -f "s$i/$set"/*.03.gef
	done
	rm -r "$BATS_TEST_TMPDIR/state"
	expect 0 repair m
	fails grep '^place 1 .* 3=' "$out"
	grep -qx "place 1 1-1 2=site$x" "$out"
}

@test "gerepair -s: much that other manifests tell is told too" {
	ready 4 2 4
	# A line that is told again and again, and as many others.
	awk '{ print } /^place/ && !n++ { for (i = 0; i < 25000; i++) print }' m >m1
	awk '{ print } END { for (e = 1; e < 200; e++) for (s = 0; s < 3; s++)
	    for (i = 0; i < 4; i++) for (t = 1; t < 5; t++)
		for (u = 1; u < 5; u++)
		    printf "place %d %d-%d %d=site%d%s\n", e, s, s, i, t,
			i < 3 ? " 3=site" u : ""
	    }' m >m2
	for i in 1 2 3; do
		cp m2 "s$i/$set/manifest"
	done
	rm -r "$BATS_TEST_TMPDIR/state"
	expect 0 repair m1
	follows m1 "$out"
	cp "$out" m
	grep ^place m2 | sort -u >told
	[ "$(grep ^place m | sort -u | comm -12 - told | wc -l)" -eq \
	    "$(wc -l <told)" ]
	back m
	expect 0 repair m2
	cmp m "$out"
}

@test "gerepair -s: a site that lists more than the rule bears condemns no set" {
	ready 5 2 3
	for i in 0 1 2; do
		[ -e "s5/$(frag 1 $i)" ] || : >"s5/$(frag 1 $i)"
	done
	for x in '' '-x site1'; do
		# shellcheck disable=SC2086	# a list of words
		expect 0 repair $x m
		told "site 'site5' lists more of segment 1 than the placement rule bears"
		cp "$out" m
		rule m
		back m
	done
}

@test "gerepair -s: names that a site lists without having them use nothing up" {
	ready 5 2 3
	for s in 0 1 2; do
		for i in 0 1 2; do
			for e in 1 254 255; do
				: >"s5/$(frag $s $i $e)"
			done
			[ -e "s5/$(frag $s $i)" ] || : >"s5/$(frag $s $i)"
		done
	done
	for x in 1 2 3 4 1 2 3 4; do
		repair -x "site$x" m >new 2>"$err" || true
		[ ! -s new ] || cp new m
		fails grep 'has used up its epochs' "$err"
		fails grep 'contradict' "$err"
		rule m
		back m
	done
	grep -q '^place [12] ' m
	fails grep -q '^place 25[45] ' m
}

@test "gerepair -s: -t foresees what the rule refuses" {
	ready 4 2 4
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 5 repair -t -x site1 m
	[ "$(grep -vc '^#' "$out")" -eq 0 ]
	expect 5 repair -x site1 m
	tree . | diff "$BATS_TEST_TMPDIR/before" -
}

@test "gerepair -s: new shares that one site did not take are completed, not made again" {
	ready 4 2 3
	expect 0 repair -x site1 m
	cp "$out" m
	# Of one segment that has to have new shares, one site will not take its own.
	for s in 0 1 2; do
		for i in 0 1 2; do
			mkdir -p "s4/$(frag $s $i 001)"
		done
	done
	repair -x site2 m >new 2>"$err" || true
	told 'the old stay'
	cp new m
	find s? -type f -name '*.gef' | sort >one
	grep -q '\.001\.gef' one
	rmdir "s4/$set"/*.001.gef
	geverify -q -s sites -x site2 m >report || true
	expect 0 gerepair -s sites -x site2 m <report
	cp "$out" m
	find s? -type f -name '*.gef' | grep '\.00[2-9]\.gef' | diff /dev/null -
	rule m
	back m
	# The old shares are left to a repair that has checked all by itself.
	expect 0 repair -x site2 m
	cp "$out" m
	expect 0 geverify -q -s sites -x site2 m
	back m
}

# forge FRAGMENT EPOCH INDEX=SITE ...: headers like that of the fragment, with
# commitments and shares of an invented key; the payload is that of the site's own
# fragment of the index, if it has it.
forge() {
	python3 - "$@" <<-'EOF'
	import hashlib, os, struct, sys
	def crc32c(data):
	    c = 0xffffffff
	    for x in data:
	        c ^= x
	        for _ in range(8):
	            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
	    return c ^ 0xffffffff
	def mul(a, b):
	    r = 0
	    while b:
	        if b & 1:
	            r ^= a
	        b >>= 1
	        a = a << 1 ^ (0x11d if a & 0x80 else 0)
	    return r
	def sha(data):
	    return hashlib.sha256(data).digest()
	b = bytearray(open(sys.argv[1], "rb").read())
	epoch, k, n = int(sys.argv[2]), b[26], b[27]
	w = struct.unpack_from("<H", b, 30)[0]
	block = struct.unpack_from("<I", b, 32)[0]
	coded = struct.unpack_from("<I", b, 52)[0]
	end = 64 + 96*w + 32 + 32*n*-(-coded // (k*block - 16)) + 32*n + 32
	records, share = end - 32 - 32*n, end - 32
	dh = sha(b"\5" + b[:57] + b[64:64 + 96*w])
	coef = [sha(b"invented" + bytes([i])) for i in range(k)]
	def at(x):
	    y = bytes(32)
	    for c in reversed(coef):
	        y = bytes(mul(p, x) ^ q for p, q in zip(y, c))
	    return y
	for i in range(n):
	    b[records + 32*i:records + 32*i + 32] = sha(b"\4" + dh +
	        bytes([epoch, i]) + at(i + 1))
	name = os.path.basename(sys.argv[1]).split(".")[0]
	set = os.path.basename(os.path.dirname(sys.argv[1]))
	for arg in sys.argv[3:]:
	    index, site = arg.split("=")
	    index = int(index)
	    h = bytearray(b)
	    h[57:60] = bytes([index, 1, epoch])
	    h[share:end] = at(index + 1)
	    h[60:64] = bytes(4)
	    h[60:64] = struct.pack("<I", crc32c(h[:share]))
	    h[end:] = bytes(len(h) - end)
	    own = "%s/%s/%s.%02d.gef" % (site, set, name, index)
	    if os.path.exists(own):
	        h[end:] = open(own, "rb").read()[end:]
	    with open("%s/%s/%s.%02d.%03d.gef" % (site, set, name, index,
	        epoch), "wb") as f:
	        f.write(h)
	EOF
}

# invented OPTION ...: two sites list an epoch of an invented key, night after night.
invented() {
	local night i
	ready 6 4 6 "$@"
	cp -r s? "$BATS_TEST_TMPDIR/tmp"
	for i in 0 1 2 3 4 5; do
		had[i]=$(where 0 $i)
	done
	rm "$(at 0 0)" "$(at 0 1)"
	forge "$(at 0 2)" 1 "0=s${had[0]}" "2=s${had[0]}" "1=s${had[1]}" \
	    "3=s${had[1]}"
	find s? -name '*.001.gef' | sort >forged
	for night in 1 2 3 4; do
		gerepair -s sites m </dev/null >new 2>"$err" || true
		[ ! -s new ] || cp new m
		[ $night -gt 1 ] || told 'are not of its key'
		# Nothing of it is believed, given on, or told.
		find s? -name '*.001.gef' | sort | diff forged -
		fails grep '^place 1' m
		# What sites have of the true key is what they had.
		find s? -name '*.gef' ! -name '*.001.gef' | sort |
		    diff - <(cd "$BATS_TEST_TMPDIR/tmp" &&
		    find s? -name '*.gef' | sort)
		for i in $(find s? -name '*.gef' ! -name '*.001.gef'); do
			cmp "$i" "$BATS_TEST_TMPDIR/tmp/$i"
		done
	done
}

@test "gerepair -s: an epoch of an invented key is not believed" {
	invented
	back
	rule m
}

@test "gerepair -s: an epoch of an invented key is not believed, with recipients" {
	key
	invented -r key.pub
	gepull -q -s sites m | gejoin -q -i key | cmp - in
	rule m
}

# supplanted OPTION ...: all sites have a manifest that tells of an invented epoch.
supplanted() {
	local i here=()
	ready 6 3 6 "$@"
	for i in 0 1 2 3 4 5; do
		here+=("$i=s$(where 0 $i)")
	done
	forge "$(at 0 0)" 1 "${here[@]}"
	awk -v p="$(sha256sum <m | cut -c 1-64)" '$1 == "serial" {
	    print "serial " $2 + 1
	    print "previous " p
	    next
	}
	$1 != "previous"' m >next
	echo "place 1 0-0 ${here[*]//=s/=site}" >>next
	for i in 1 2 3 4 5 6; do
		cp next "s$i/$set/manifest"
	done
	find s? -name '*.gef' | sort >before
}

@test "gerepair -s: shares stay if those that came after are of another key" {
	supplanted
	expect 5 repair next
	told 'the old ones stay'
	find s? -name '*.gef' | sort | comm -23 before - | diff /dev/null -
	rm -rf s? in "$XDG_STATE_HOME"
	key
	supplanted -r key.pub
	expect 5 repair next
	told 'the old ones stay'
	find s? -name '*.gef' | sort | comm -23 before - | diff /dev/null -
	# With old ones too few to tell a site that is silent may have more.
	rm "$(at 0 0)" "$(at 0 1)" "$(at 0 2)"
	find s? -name '*.gef' | sort >before
	mv "s$(where 0 3)" away
	repair next >new 2>"$err" || true
	mv away "s$(where 0 3)"
	find s? -name '*.gef' | sort | comm -23 before - | diff /dev/null -
}

@test "gerepair -s: what an invented epoch makes stale is not" {
	ready 6 3 6
	for i in 0 1; do
		had[i]=$(where 0 $i)
	done
	cp -r s? "$BATS_TEST_TMPDIR/tmp"
	rm "$(at 0 0)" "$(at 0 1)" "$(at 0 2)"
	forge "$(at 0 3)" 1 "0=s${had[0]}" "2=s${had[0]}" "1=s${had[1]}"
	expect 0 repair m
	told 'are not of its key'
	fails grep '^place 1' "$out"
	find s? -name '*.001.gef' -delete
	for i in $(find s? -name '*.gef'); do
		cmp "$i" "$BATS_TEST_TMPDIR/tmp/$i"
	done
	whole
}

key() {
	openssl genpkey -algorithm X25519 -out key 2>/dev/null
	openssl pkey -in key -pubout -out key.pub
}

@test "gerepair -s: with recipients, too, new shares of which none tells are taken up" {
	key
	ready 4 2 3 -r key.pub
	expect 0 repair -x site1 m
	cp "$out" m
	rm -r "$BATS_TEST_TMPDIR/state"
	cp m old
	cp -r s1 s2 s3 s4 "$BATS_TEST_TMPDIR/tmp"
	expect 0 repair -x site2 m
	cp "$out" told
	grep -q '^place 1' told
	find s? -name '*.001.gef' | sort >new
	rm -r "$BATS_TEST_TMPDIR/state"
	# The old shares have gone: nothing tells that the new ones are true.
	for i in 1 2 3 4; do
		cp old s$i/"$set"/manifest
	done
	expect 5 repair -x site2 old
	told 'cannot be told'
	find s? -name '*.001.gef' | sort | diff new -
	# They are there.
	for i in 1 2 3 4; do
		cp -n "$BATS_TEST_TMPDIR/tmp/s$i/$set"/*.gef s$i/"$set"
		cp old s$i/"$set"/manifest
	done
	rm -r "$BATS_TEST_TMPDIR/state"
	expect 0 repair -v -x site2 old
	told ' 0 segments given new shares'
	cp "$out" m
	find s? -name '*.001.gef' | sort | diff new -
	expect 0 repair -x site2 m
	cp "$out" m
	rule m
	expect 0 geverify -q -s sites -x site2 m
	gepull -q -s sites m | gejoin -q -i key | cmp - in
}
