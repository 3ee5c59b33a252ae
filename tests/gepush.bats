load helper
load servers

# ready [KIND]: nine sites, a set of four segments, 3 of 6, in set.ge.
ready() {
	nine "${1-file}"
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 40000 >in
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
}

# holds NUMBER: so many fragments are at the sites.
holds() {
	[ "$(find host* -name '*.gef' | wc -l)" -eq "$1" ]
}

# none NAME: no site has such a thing.
none() {
	[ -z "$(find host* -name "$1")" ]
}

# back MANIFEST: the sites give the input back.
back() {
	gepull -q -s sites "$1" | gejoin -q | cmp - in
}

# all_have MANIFEST: every site has it, to the byte.
all_have() {
	local i
	for i in 1 2 3 4 5 6 7 8 9; do
		site_get $i "$set/manifest" | cmp - "$1" || return
	done
}

# frag SEGMENT INDEX: its name.
frag() {
	printf '%s/%010d.%02d.gef' "$set" "$1" "$2"
}

# site_of MANIFEST INDEX: the number of the site that has it in segment 0.
site_of() {
	awk '$1 == "place"' "$1" | head -n 1 |
	    sed "s/.* $2=site\([0-9]*\).*/\1/"
}

@test "gepush: --help, --version and wrong options are answered" {
	answers gepush
	expect 2 gepush </dev/null
	said 'gepush: -s sites: which sites?'
	expect 2 gepush -s nope </dev/null
	told "nope"
	nine file
	expect 2 gepush -s sites -O verify=half </dev/null
	said "gepush: verify 'half': full, or leave it out"
	expect 2 gepush -s sites -O quorum=0 </dev/null
	said "gepush: quorum '0': not a number from 1 to 64"
	expect 2 gepush -s sites -x nope </dev/null
	said "gepush: -x 'nope': 'sites' has no such site"
	expect 2 gepush -s sites nope.ge </dev/null
	told "'nope.ge'"
	expect 2 on_terminal 'gepush -s sites'
	grep -q 'standard input is a terminal' "$out"
}

@test "gepush: every fragment is at a site, the manifest at every site" {
	ready
	expect 0 gepush -s sites <set.ge
	said
	cp "$out" m
	[ "$(grep -c ^place m)" -ge 1 ]
	[ "$(cat host*/*/*.gef | wc -c)" -eq \
	    "$(tar xOf set.ge --wildcards '*.gef' | wc -c)" ]
	holds 24
	all_have m
	back m
	# What is at a site is what was in the stream, under its own name.
	mkdir cut
	tar xf set.ge -C cut
	for f in host*/*/*.gef; do
		cmp "$f" "cut/$set/${f##*/}"
	done
	# The places of the manifest are true.
	awk '$1 == "place" { split($3, r, "-")
	    for (s = r[1]; s <= r[2]; s++) for (i = 4; i <= NF; i++) {
		split($i, p, "=site")
		printf "host%s/%s/%010d.%02d.gef\n", p[2], set, s, p[1] } }' \
	    set="$set" m | sort >told
	ls host*/*/*.gef | sort | diff told -
}

@test "gepush: of nine of nine each site has one of each segment" {
	nine file
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 100000 >in
	gefrag -k 6 -n 9 -b 4k -O payload=4k -q -N 'a label' in | tee set.ge |
	    gepush -s sites >m
	for i in 1 2 3 4 5 6 7 8 9; do
		[ "$(ls host$i/*/*.gef | sed 's/.*\/\(.*\)\.[0-9]*\.gef/\1/' |
		    uniq -d)" = '' ]
		[ "$(find host$i -name '*.gef' | wc -l)" -eq \
		    "$(awk '$1 == "segments" { print $2 }' m)" ]
	done
	[ "$(grep -c ^place m)" -eq 1 ]
	grep -qx 'serial 1' m
	grep -qx 'name a label' m
	[ "$(awk '$1 == "previous" { print $2 }' m)" = \
	    "$(tar xOf set.ge --wildcards '*/manifest' | sha256sum |
		cut -d ' ' -f 1)" ]
	back m
}

@test "gepush: pushed again, nothing is sent and the same bytes come" {
	ready
	gepush -s sites set.ge >m
	stat -c '%i %y %n' host*/*/* >was
	expect 0 gepush -v -s sites set.ge
	cmp m "$out"
	told '24 of 24 fragments placed, 24 of them were there before; 0 B sent'
	stat -c '%i %y %n' host*/*/* | diff was -
}

@test "gepush: folders are as good as streams; a set is named by -O set=" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	expect 0 gepush -s sites cut
	cp "$out" m
	back m
	bytes 10 2 | gefrag "${SMALL[@]}" -q -d cut
	expect 5 gepush -s sites cut
	told 'the input has several sets'
	told 'name one with -O set='
	expect 0 gepush -s sites -O "set=$set" cut
	cmp m "$out"
}

@test "gepush: without a manifest in the input one is made" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	rm cut/*/manifest
	expect 0 gepush -s sites cut
	cp "$out" m
	grep -qx 'serial 0' m
	back m
	expect 0 gepush -s sites cut
	cmp m "$out"
	# It is not thrown away for one that knows no places.
	expect 0 gepush -s sites set.ge
	cmp m "$out" || grep -qx 'serial 1' "$out"
}

@test "gepush: -t says what would be done and does nothing" {
	ready
	expect 0 gepush -t -s sites set.ge
	said
	[ "$(find host* -type f | wc -l)" -eq 0 ]
	grep -v '^#' "$out" >plan
	[ "$(wc -l <plan)" -eq 24 ]
	gepush -s sites set.ge >m
	awk -F '\t' '{ printf "%s/%s/%010d.%02d.gef %d\n", $5, $2, $3, $4, $6 }' \
	    plan | sed 's/^site/host/' | sort >want
	stat -c '%n %s' host*/*/*.gef | sort | diff want -
	[ "$(cut -f 1 plan | uniq)" = put ]
	expect 0 gepush -t -s sites set.ge
	[ "$(grep -v '^#' "$out" | cut -f 1 | uniq)" = keep ]
}

@test "gepush: too few domains are refused before a byte leaves" {
	ready
	sed -i 's/operator=op[0-9]/operator=one/' sites
	expect 5 gepush -s sites set.ge
	told 'operator'
	[ "$(find host* -type f | wc -l)" -eq 0 ]
	[ ! -s "$out" ]
	sed -n 1p sites >few
	expect 5 gepush -s few set.ge
	[ "$(find host* -type f | wc -l)" -eq 0 ]
}

@test "gepush: what is at a site with other content is never overwritten" {
	ready
	gepush -s sites set.ge >m
	f=host$(site_of m 2)/$(frag 0 2)
	rm -r host*/* "$XDG_STATE_HOME"
	mkdir "${f%/*}"
	echo something else >"$f"
	expect 5 gepush -s sites set.ge
	told "gepush: site '$(sed 's|host|site|; s|/.*||' <<<"$f")': '$(frag 0 2)' is already there with other content; all 24 fragments are placed elsewhere"
	[ "$(cat "$f")" = 'something else' ]
	# It hinders nothing else, and is not asked for again.
	cp "$out" m
	all_have m
	at=$(site_of <(grep '^place 0 0-0 0=' m) 2)
	[ "$f" != "host$at/$(frag 0 2)" ]
	back m
	expect 0 gepush -s sites set.ge
	cmp m "$out"
	[ "$(cat "$f")" = 'something else' ]
}

@test "gepush: of a site with nothing but other content nothing is overwritten" {
	alone 20000
	gepush -s sites set.ge >m
	for f in host4/"$set"/*.gef; do
		echo "something else" >"$f"
	done
	cat host4/"$set"/*.gef | cksum >was
	# No other site may have what is its; one at a time, so that it is known
	# which is told.
	expect 5 gepush -j 1 -s sites set.ge
	told "gepush: site 'site4': '$(basename -a host4/"$set"/*.gef | sed "s|^|$set/|;q")' is already there with other content; $((n / 9)) of $n fragments are not at a site"
	cat host4/"$set"/*.gef | cksum | diff was -
	back "$out"
	expect 5 gepush -s sites -O quorum=9 set.ge
	told 'is already there with other content; the data is NOT safe: '
}

@test "gepush: another set of the same id at two domains ends the push" {
	ready
	gepush -s sites set.ge >m
	rm -r "$XDG_STATE_HOME" host*/*/manifest
	echo 'something else' | tee "host$(site_of m 2)/$(frag 0 2)" \
	    >"host$(site_of m 3)/$(frag 0 3)"
	expect 5 gepush -s sites set.ge
	[ "$(grep -c 'is already there with other content$' "$err")" -eq 2 ]
	[ ! -s "$out" ]
	none manifest
	# Of one domain it may be one liar.
	sed -i 's/operator=op[0-9]*/operator=one/' sites
	a=$(site_of m 2) b=$(site_of m 3)
	awk -v a="site$a" -v b="site$b" '$1 != a && $1 != b {
	    sub("operator=one", "operator=o" NR) } 1' sites >apart
	expect 5 gepush -s apart set.ge
	told '; all 24 fragments are placed elsewhere'
	back "$out"
}

@test "gepush: a cut or damaged copy at a site is left, and another made" {
	ready
	gepush -s sites set.ge >m
	a=host$(site_of m 2)/$(frag 0 2)
	b=host$(site_of m 3)/$(frag 0 3)
	truncate -s 1000 "$a"
	flip "$b" 2000
	cksum "$a" "$b" >was
	expect 0 gepush -s sites -O verify=full set.ge
	told "the copy there is cut short"
	told "the copy there is damaged"
	cp "$out" m2
	cksum "$a" "$b" | diff was -
	grep -qx 'serial 2' m2
	[ "$(awk '$1 == "previous" { print $2 }' m2)" = \
	    "$(sha256sum <m | cut -d ' ' -f 1)" ]
	grep '^place' m | cmp - <(grep '^place' m2 | head -n "$(grep -c ^place m)")
	all_have m2
	back m2
}

@test "gepush: sites that are gone are done without, and named" {
	ready
	site_kill 4
	site_kill 7
	expect 0 gepush -s sites set.ge
	told "site 'site4'"
	told "site 'site7'"
	[ "$(tail -n 1 "$err")" = 'gepush: 2 sites were given up; 3 more may vanish, whichever they are; or 3 more values of operator' ]
	cp "$out" m
	fails grep -q 'site[47]' m
	holds 24
	back m
	[ ! -e host4 ]
	# They are back: pushed again, nothing moves, but they get the manifest.
	site_begin 4
	site_begin 7
	expect 0 gepush -s sites set.ge
	cmp m "$out"
	all_have m
	# -x is as if they were gone.
	rm -r host*/*
	expect 0 gepush -O "state=$PWD/st" -s sites -x site1 -x site2 set.ge
	[ ! -e "host1/$set" ]
	fails grep -q 'site[12]' "$out"
}

# alone: each of the nine fragments of a segment needs a site of its own.
alone() {
	nine file
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes "$1" >in
	gefrag -k 2 -n 9 -b 4k -O payload=4k -q in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
	n=$(tar tf set.ge | grep -c gef)
}

@test "gepush: fewer than n placed is 3, fewer than the quorum is 1" {
	alone 20000
	site_kill 1
	site_kill 2
	expect 3 gepush -s sites set.ge
	told "$((n / 9 * 2)) of $n fragments are not at a site"
	grep -q 'segment 0 index [0-9] is not placed: no site left: ' "$err"
	cp "$out" m
	back m
	expect 1 gepush -s sites -O quorum=8 set.ge
	told 'the data is NOT safe: segment 0 has 7 of 9 fragments placed, 8 are wanted'
	cmp m "$out"
	for i in 3 4 5 6 7; do site_kill $i; done
	expect 1 gepush -O "state=$PWD/st" -s sites set.ge
	told 'the data is NOT safe: segment 0 has 2 of 9 fragments placed, 3 are wanted'
	cmp m "$out"
	expect 3 gepush -O "state=$PWD/st" -O quorum=2 -s sites set.ge
	for i in 1 10; do
		expect 2 gepush -O "state=$PWD/st" -O quorum=$i -s sites set.ge
		told "quorum=$i: the set is 2 of 9"
	done
	# All are there again.
	for i in 1 2 3 4 5 6 7; do site_begin $i; done
	expect 0 gepush -O "state=$PWD/st" -s sites set.ge
	holds "$n"
	all_have "$out"
	back "$out"
}

@test "gepush: the list of what is not placed has an end" {
	alone 100000
	for i in 1 2 3 4 5 6 7; do site_kill $i; done
	expect 1 gepush -s sites set.ge
	[ "$(grep -c 'is not placed' "$err")" -eq 20 ]
	told "and $((n / 9 * 7 - 20)) more"
	site_kill 8
	site_kill 9
	expect 1 gepush -s sites set.ge
	[ ! -s "$out" ]
}

@test "gepush: damaged and missing fragments are not sent, and named" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	flip "cut/$(frag 0 1)" 3000
	truncate -s 3000 "cut/$(frag 1 2)"
	rm "cut/$(frag 1 4)"
	expect 3 gepush -s sites cut
	told 'segment 0 index 1 is not placed: damaged in the input'
	told 'segment 1 index 2 is not placed: damaged in the input'
	told 'segment 1 index 4 is not placed: not in the input'
	told '3 of 24 fragments are not at a site'
	holds 21
	cp "$out" m
	back m
	none 0000000000.01.gef
	# The whole set is at hand again.
	expect 0 gepush -s sites set.ge
	holds 24
	grep '^place' m | cmp - <(grep '^place' "$out" |
	    head -n "$(grep -c ^place m)")
	# And now what is damaged here is no matter: it is there.
	expect 3 gepush -s sites cut
	told 'segment 1 index 4 is not placed: not in the input'
	told '1 of 24 fragments'
}

@test "gepush: a share that is missing or wrong is not sent as one" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	f=cut/$(frag 0 0)
	len=$((96 + 64 * 6))
	flip "$f" $len
	expect 3 gepush -s sites cut
	told 'segment 0 index 0 is not placed: without its key share in the input'
	holds 23
}

@test "gepush: a stream that ended early is no set" {
	ready
	size=$(stat -c %s set.ge)
	for at in 100 3000 $((size / 2)) $((size - 12000)); do
		expect 1 gepush -s sites < <(head -c $at set.ge)
		told 'the stream ended early: '
		[ ! -s "$out" ]
		none manifest
	done
	# What came of it is built upon.
	expect 0 gepush -v -s sites set.ge
	grep -q 'placed, [1-9][0-9]* of them were there' "$err"
	holds 24
}

@test "gepush: an input without a fragment is the wrong one" {
	ready
	expect 2 gepush -s sites </dev/null
	said 'gepush: standard input: no fragment in it'
	tar xOf set.ge "$set/manifest" >m
	expect 2 gepush -s sites m
	said "gepush: 'm': no fragment in it, only a manifest"
	mkdir empty
	expect 2 gepush -s sites empty
	said "gepush: 'empty': no fragment in it"
	expect 2 gepush -s sites empty m
	said 'gepush: no fragment in the 2 operands, only a manifest'
	expect 2 gepush -s sites -O "set=$(printf %032x 1)" set.ge
	said "gepush: no fragment of set $(printf %032x 1) in the input"
	# Nor is what is nothing of ours a stream that was cut.
	for size in 11 40000; do
		bytes $size >foreign
		expect 2 gepush -s sites foreign
		said "gepush: 'foreign': neither a fragment nor an archive"
		expect 2 gepush -s sites <foreign
		said 'gepush: standard input: neither a fragment nor an archive'
	done
	expect 2 gepush -s sites foreign empty
	said "gepush: 'foreign': neither a fragment nor an archive" \
	    'gepush: no fragment in the 2 operands'
	expect 2 gepush -s sites nosuch
	said "gepush: 'nosuch': No such file or directory"
	expect 2 gepush -s sites nosuch norsuch
	said "gepush: 'nosuch': No such file or directory" \
	    "gepush: 'norsuch': No such file or directory"
	[ ! -s "$out" ]
	[ "$(find host* -type f | wc -l)" -eq 0 ]
}

@test "gepush: fragments that contradict each other are refused" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q in |
	    tar xOf - --wildcards '*/0000000000.03.gef' >other
	put other 8 "$set"
	# Not its header any more: it is passed over.
	cp other "cut/$(frag 0 3)"
	expect 3 gepush -s sites cut
	told 'segment 0 index 3 is not placed: not in the input'
}

@test "gepush: a manifest that is not the set's is refused" {
	ready
	mkdir cut
	tar xf set.ge -C cut
	sed -i '/^digest/d' cut/*/manifest
	expect 0 gepush -s sites cut
	told 'malformed manifest'
	rm -r host*/*
	tar xf set.ge -C cut
	bytes 30000 9 | gefrag -k 3 -n 6 -b 4k -O payload=4k -q -d d2
	cat d2/*/manifest >"cut/$set/manifest"
	expect 5 gepush -O "state=$PWD/st" -s sites cut
	told 'contradicts its fragments'
	expect 5 gepush -O "state=$PWD/st" -s sites \
	    -O "digest=$(printf %064d 0)" set.ge
	told 'the input has not the digest named'
	# Nor is it the manifest at the sites that is wrong.
	expect 0 gepush -O "state=$PWD/st" -s sites set.ge
	expect 5 gepush -O "state=$PWD/st" -s sites \
	    -O "digest=$(printf %064d 0)" set.ge
	said 'gepush: the input has not the digest named'
}

@test "gepush: a part of a set that comes to other sites is not what is remembered" {
	ready
	expect 0 gepush -s sites set.ge
	cp "$out" m
	mkdir new new/host{1..9}
	for i in 1 2 3 4 5 6 7 8 9; do
		echo "new$i file://$PWD/new/host$i operator=op$i region=r$i"
	done >new/sites
	expect 1 gepush -s new/sites < <(gepull -q -s sites m)
	told 'the data is NOT safe'
	grep -qx 'serial 2' "$out"
	back m
	# What is safe is.
	expect 0 gepush -q -s new/sites set.ge
	cp "$out" m2
	gepull -q -s new/sites m2 | gejoin -q | cmp - in
	expect 5 gepull -q -s sites m
	told 'the manifest is older than what was seen'
}

@test "gepush: -S signs; without it a signature is not kept in silence" {
	ready
	keys
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q -S sign.pem in >signed.ge
	set=$(tar tf signed.ge | sed -n '$s|/.*||p')
	expect 0 gepush -s sites signed.ge
	told 'the manifest was signed and is not any more'
	fails grep -q ^signature "$out"
	expect 0 gepush -s sites -S sign.pem signed.ge
	cp "$out" m
	grep -q ^signature m
	all_have m
	gepull -q -s sites -V sign.pub m | gejoin -V sign.pub | cmp - in
	expect 0 gepush -s sites -S sign.pem signed.ge
	cmp m "$out"
}

@test "gepush: without -S no fragment of a signed set comes to another place" {
	ready
	keys
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q -S sign.pem in >signed.ge
	set=$(tar tf signed.ge | sed -n '$s|/.*||p')
	expect 0 gepush -s sites -S sign.pem signed.ge
	cp "$out" m
	tree . >"$BATS_TEST_TMPDIR/before"
	for opts in '' -t; do
		expect 5 gepush $opts -s sites -x "site$(site_of m 0)" signed.ge
		told 'must be signed: give the key with -S'
		fails grep -q ^serial "$out"
		tree . | diff "$BATS_TEST_TMPDIR/before" -
	done
	# What needs no new manifest is done.
	rm "host$(site_of m 0)/$(frag 0 0)"
	expect 0 gepush -s sites signed.ge
	said
	cmp m "$out"
	all_have m
	# What was tried elsewhere is told when the key is there.
	for i in 1 2 3 4 5 6 7 8 9; do
		grep -q "^place 0 0-0 .*=site$i\b" m || away=$i
	done
	tried=$XDG_STATE_HOME/getools/$set.tried
	echo "0 0 0 site$away" >"$tried"
	expect 0 gepush -s sites signed.ge
	said
	cmp m "$out"
	grep -qx "0 0 0 site$away" "$tried"
	expect 0 gepush -s sites -S sign.pem signed.ge
	cp "$out" m2
	grep -qx 'serial 2' m2
	grep -qx "place 0 0-0 0=site$away" m2
	grep -q ^signature m2
	[ ! -e "$tried" ]
}

# invented SERIAL: the manifest of the set as a liar would have it.
invented() {
	tar xOf set.ge "$set/manifest" | sed -e '/^signature/d' \
	    -e "s/^serial .*/serial $1/" -e 's/^name .*/name his/' \
	    -e 's/^created .*/created 1999-01-01T00:00:00Z/' \
	    -e "s/^previous .*/previous $(printf %064d 0)/"
	echo 'place 0 0-0 0=site8'
}

@test "gepush: -S signs nothing that is a liar's word" {
	ready
	keys
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q -S sign.pem -N ours in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
	mkdir -p "host1/$set"
	invented 18446744073709551615 >"host1/$set/manifest"
	expect 0 gepush -s sites -S sign.pem set.ge
	cp "$out" m
	grep -qx 'name ours' m
	grep -qx 'serial 1' m
	fails grep -q 1999 m
	all_have m
	gepull -q -s sites -V sign.pub "$set" | gejoin -q | cmp - in
	# What several say of places may be true: it is the past.
	rm -rf host*/* "$XDG_STATE_HOME"
	for i in 1 2 3 4 5 6; do
		mkdir -p "host$i/$set"
		invented 7 >"host$i/$set/manifest"
	done
	expect 0 gepush -s sites -x site8 -S sign.pem set.ge
	cp "$out" m
	grep -qx 'name ours' m
	grep -qx 'serial 8' m
	grep -qx 'place 0 0-0 0=site8' m
	fails grep -q site8 <(now_at m)
	expect 0 gepush -s sites -S sign.pem set.ge
	cmp m "$out"
	all_have m
}

@test "gepush: what few sites have as the manifest is not gone on from" {
	ready
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q -N ours in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
	gepush -s sites set.ge >m
	# A push was killed before it told; two sites tell in its stead.
	rm host*/"$set"/manifest
	rm -r "$XDG_STATE_HOME"
	invented 18446744073709551614 >"host1/$set/manifest"
	cp "host1/$set/manifest" "host2/$set/manifest"
	expect 0 gepush -s sites set.ge
	cmp m "$out"
	all_have m
	expect 0 gerepair -q -s sites -x site9 m
	grep -qx 'serial 2' "$out"
}

@test "gepush: a newer manifest at the sites stays, its places count" {
	ready
	gepush -s sites set.ge >m
	rm "host$(site_of m 0)/$(frag 0 0)"
	expect 0 gepush -s sites -x "site$(site_of m 0)" set.ge
	cp "$out" m2
	grep -qx 'serial 2' m2
	# The site that was left out has the older one; it gets the newer.
	expect 0 gepush -s sites set.ge
	cmp m2 "$out"
	all_have m2
	# All sites forget: what was seen is followed, not repeated.
	rm -r host*/*
	expect 0 gepush -s sites set.ge
	grep -qx 'serial 3' "$out"
	[ "$(awk '$1 == "previous" { print $2 }' "$out")" = \
	    "$(sha256sum <m2 | cut -d ' ' -f 1)" ]
	back "$out"
}

@test "gepush: an older state of the sites is refused" {
	ready
	gepush -s sites set.ge >m
	mkdir old
	cp -a host* old
	rm "host$(site_of m 0)/$(frag 0 0)"
	gepush -s sites -x "site$(site_of m 0)" set.ge >m2
	rm -r host*
	mv old/* .
	expect 5 gepush -s sites set.ge
	told 'older than what was seen (serial 1, 2 was seen)'
	[ "$(stat -c %a "$XDG_STATE_HOME/getools/$set")" = 600 ]
}

@test "gepush: what is remembered of a set is read with care" {
	ready
	mkdir st
	for line in '' x '1 ' "1 $(printf %064d 0)x" "01 $(printf %064d 0)"; do
		printf '%s\n' "$line" >"st/$set"
		expect 2 gepush -O "state=$PWD/st" -s sites set.ge
		told "'$PWD/st/$set': not what was seen of a set"
		holds 0
	done
	rm "st/$set"
	gepush -O "state=$PWD/st" -s sites set.ge >m
	[ "$(cat "st/$set")" = "1 $(sha256sum <m | cut -d ' ' -f 1)" ]
	# A memory that cannot be kept is no reason to fail.
	chmod 500 st
	touch file
	expect 0 gepush -O "state=$PWD/file" -s sites set.ge
	told 'an older manifest will not be noticed'
}

@test "gepush: killed at any moment, the same command ends it" {
	ready
	bytes 200000 >in
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
	n=$(tar tf set.ge | grep -c gef)
	gepush -s sites set.ge >want
	rm -r host*/* "$XDG_STATE_HOME"
	mkfifo slow
	for ((i = 1; i <= 12; i++)); do
		gepush -s sites slow >/dev/null 2>&1 3>&- 8>&- &
		pid=$!
		exec 8>slow
		head -c $((i * 30000)) set.ge >&8 || :
		until_true asleep $pid
		# At the last even the manifest is under way.
		kill -KILL $pid
		wait $pid || true
		exec 8>&-
	done 2>/dev/null
	for i in 0.002 0.005 0.01 0.02 0.03; do
		timeout -s KILL $i gepush -s sites set.ge >/dev/null 2>&1 || true
	done 2>/dev/null
	expect 0 gepush -v -s sites set.ge
	cp "$out" m
	[ "$(ls host*/*/*.gef | sed 's|.*/||' | sort -u | wc -l)" -eq "$n" ]
	cmp m want
	all_have m
	back m
	expect 0 gepush -s sites set.ge
	cmp m "$out"
}

@test "gepush: SIGTERM ends it soon, though the input says nothing" {
	ready
	mkfifo slow
	gepush -s sites slow >"$out" 2>"$err" 3>&- &
	pid=$!
	exec 8>slow
	head -c 20000 set.ge >&8
	until_true asleep $pid
	kill -TERM $pid
	until_true ended $pid || kill -KILL $pid
	status=0
	wait $pid || status=$?
	exec 8>&-
	[ $status -eq 143 ]
	none manifest
	expect 0 gepush -s sites set.ge
}

# some: there are fragments at the sites.
some() {
	[ -n "$(find host* -name '*.gef')" ]
}

@test "gepush: a site that goes while it is written to is done without" {
	ready
	mkfifo slow
	gepush -s sites slow >m 2>"$err" 3>&- &
	pid=$!
	exec 8>slow
	head -c 40000 set.ge >&8
	until_true some
	site_kill 6
	tail -c +40001 set.ge >&8
	exec 8>&-
	wait $pid
	told "site 'site6' is given up: "
	[ "$(tail -n 1 "$err")" = 'gepush: 1 site was given up; 3 more may vanish, whichever they are; or 3 more values of operator' ]
	# What it may have got is told before what is now.
	grep -q '^place 0 .*3-3 .*=site6' m
	fails grep -q '^3 .*site6' <(now_at m)
	[ "$(now_at m | wc -l)" -eq 24 ]
	site_begin 6
	back m
	expect 0 gepush -s sites set.ge
	cmp m "$out"
}

# killed [OPTION ...]: a push that is killed when the first segment is sent.
killed() {
	rm -f slow
	mkfifo slow
	gepush -s sites "$@" slow >/dev/null 2>&1 3>&- &
	pid=$!
	exec 8>slow
	head -c 36000 set.ge >&8
	until_true asleep $pid
	kill -KILL $pid
	wait $pid || true
	exec 8>&-
} 2>/dev/null

@test "gepush: a site that denies what it took gets no more of it" {
	ready
	tried=$XDG_STATE_HOME/getools/$set.tried
	for x in '' '-x site1' '-x site2'; do
		# shellcheck disable=SC2086	# a list of words
		killed $x
		find host6 -name '0000000000.*.gef' -printf '%f\n' >>had
		rm -rf host6/*
		[ -s "$tried" ]
	done
	[ -s had ]
	[ "$(sort -u had | wc -l)" -lt 3 ]
	# All is told in the end, and needs no journal any more.
	expect 0 gepush -s sites -x site6 set.ge
	cp "$out" m
	[ ! -e "$tried" ]
	fails grep -q site6 <(now_at m)
	while IFS=. read -r s i rest; do
		grep -qE "^place 0 0-.* $((10#$i))=site6( |$)" m
	done <had
	back m
	expect 0 gepush -s sites -x site6 set.ge
	cmp m "$out"
}

@test "gepush: -t writes nothing down" {
	ready
	expect 0 gepush -t -s sites set.ge
	[ ! -e "$XDG_STATE_HOME/getools/$set.tried" ]
	gepush -s sites -x site1 set.ge >/dev/null
	[ ! -e "$XDG_STATE_HOME/getools/$set.tried" ]
}

@test "gepush: what a silent site may have had, its domain may not have" {
	ready
	sed -i 's/operator=op2/operator=op1/' sites
	killed
	[ -e "host1/$(frag 0 0)" ]
	site_kill 1
	ls host2/* >was
	# Another machine does not know what was sent to it.
	expect 0 gepush -O "state=$PWD/other" -s sites set.ge
	told "nothing new goes to site 'site2': what 'site1' has, of the same operator, nobody tells"
	find host2 -name '*.gef' -printf '%f\n' >now
	fails grep -vxF -f was now
	back "$out"
	rm -r host[2-9]/* "$XDG_STATE_HOME"
	site_begin 1
	rm -r host1/*
	# This one does.
	killed
	site_kill 1
	expect 0 gepush -s sites set.ge
	fails grep -q 'nothing new goes' "$err"
	find host2 -name '*.gef' -printf '%f\n' >now
	grep -qvxF -f was now
	back "$out"
}

@test "gepush: a set whose past breaks the rule is refused in a line" {
	ready
	mkdir -p "host4/$set"
	mkdir -p "$XDG_STATE_HOME/getools"
	for i in 1 2 4; do
		tar xOf set.ge "$(frag 2 $i)" >"host4/$(frag 2 $i)"
		echo "0 2 $i site4"
	done >"$XDG_STATE_HOME/getools/$set.tried"
	expect 5 gepush -s sites set.ge
	said "gepush: make a new set: the past of this one breaks the placement rule: segment 2: site 'site4' has had 3 fragments of a segment, 2 are allowed"
	holds 3
	[ ! -s "$out" ]
}

@test "gepush: a site that lists too much gets nothing more, and hinders nobody" {
	ready
	expect 0 gepush -s sites set.ge
	cp "$out" m
	touch "host4/$set"/0000000002.0{0..5}.gef
	ls "host4/$set" >was
	expect 0 gepush -s sites set.ge
	said "gepush: nothing new goes to site 'site4': it lists more of a segment than the placement rule bears"
	cmp m "$out"
	ls "host4/$set" | diff was -
	# With neither manifest nor memory: its own word for all that it has.
	rm -r "$XDG_STATE_HOME" host*/"$set"/manifest
	expect 0 gepush -s sites set.ge
	told "nothing new goes to site 'site4'"
	[ "$(grep -c 'nothing new goes' "$err")" -eq 1 ]
	rm "host4/$set/manifest"
	ls "host4/$set" | diff <(grep -v manifest was) -
	back "$out"
	# It has a new set's folder before the set comes.
	rm -r "$XDG_STATE_HOME" host*/"$set"
	mkdir "host4/$set"
	touch "host4/$set"/0000000002.0{0..5}.gef
	expect 0 gepush -s sites set.ge
	[ "$(ls "host4/$set" | grep -c gef)" -eq 6 ]
	back "$out"
}

@test "gepush: what a site says to have had too much of counts for its domain" {
	ready
	sed -i 's/operator=op5/operator=op4/' sites
	mkdir "host4/$set"
	touch "host4/$set"/000000000{0..4}.0{2..5}.gef
	expect 0 gepush -s sites set.ge
	told "nothing new goes to site 'site4'"
	fails grep -q 'nothing new.*site5' "$err"
	find host5 -name '*.gef' -printf '%f\n' >now
	fails grep -vE '^[0-9]{10}\.0[23]\.gef$' now
	back "$out"
}

@test "gepush: what is at a site that takes nothing new stays there" {
	alone 20000
	gepush -s sites set.ge >m
	sed -i '/^site3/s/$/ weight=0/' sites
	expect 0 gepush -s sites set.ge
	cmp m "$out"
	# What is lost there has no other place.
	rm "host3/$(frag 0 2)"
	expect 3 gepush -s sites set.ge
	told 'segment 0 index 2 is not placed: no site left'
	[ ! -e "host3/$(frag 0 2)" ]
}

@test "gepush: a full disk at a site sends fragments elsewhere" {
	ready
	# The shell's limit is one for all sites: only the large set meets it.
	bytes 2000000 >in
	gefrag -k 3 -n 6 -b 64k -O payload=1m -q in >set.ge
	expect 1 bash -c 'ulimit -f 100; gepush -s sites set.ge'
	told 'the data is NOT safe'
	[ ! -s "$out" ]
	[ "$(find host* -type f | wc -l)" -eq 0 ]
	expect 0 gepush -s sites set.ge
	back "$out"
}

@test "gepush: a full standard output is an error, and the data is safe" {
	ready
	expect 1 bash -c 'gepush -s sites set.ge >/dev/full'
	told 'No space left on device'
	holds 24
	back "$set"
}

@test "gepush: each allocation failing in turn leaves what can be completed" {
	nine file
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 9000 >in
	gefrag "${SMALL[@]}" -q in >set.ge
	for ((i = 1; i < 2000; i++)); do
		rm -rf host*/* "$XDG_STATE_HOME"
		status=0
		GE_FAILALLOC=$i gepush -q -j 1 -s sites set.ge \
		    >m 2>"$err" || status=$?
		[ $status -ne 0 ] || break
		[ $status -eq 1 ]
		[ -s "$err" ]
		# No manifest tells of what is not there.
		for f in host*/*/manifest; do
			[ ! -e "$f" ] || gepull -q -s sites "$f" | gejoin -q |
			    cmp - in
		done
		[ $((i % 10)) -ne 0 ] || expect 0 gepush -q -s sites set.ge
	done
	[ $i -gt 40 ]
	[ $i -lt 2000 ]
}

@test "gepush: memory is bounded, whatever -j and the size" {
	[ -z "$GE_SAN" ] || skip 'not under a sanitizer'
	nine file
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	$GE_CC -O1 -o maxrss "$GE_TOP/tests/bench/maxrss.c"
	# Many middling fragments; few so large that they lie in a file.
	head -c 700000000 /dev/zero |
	    gefrag -q -p -k 4 -n 6 -b 256k -O payload=8m |
	    ./maxrss rss gepush -j 64 -s sites >m
	gepull -q -s sites m | gejoin -q | cmp -n 700000000 - /dev/zero
	rm -r host*/*
	head -c 300000000 /dev/zero |
	    gefrag -q -p -k 2 -n 4 -b 1m -O payload=100m |
	    ./maxrss rss gepush -j 64 -O verify=full -s sites >m
	cat rss
	awk '$3 > 256 * 1024 { bad = 1 } END { exit bad }' rss
	gepull -q -s sites m | gejoin -q | cmp -n 300000000 - /dev/zero
}
