load helper
load servers

# What a site is when it does not do what it should: each of these does it to site
# $1, of which the set is $set.
dead() {
	site_kill "$1"
}

hung() {
	if [ "${SITE_KIND[$1]}" = 'file' ]; then
		site_kill "$1"
	else
		site_freeze "$1"
	fi
}

# cures I: it was dead or hung, perhaps.
cures() {
	if on_disk "$1" && [ -e "$(site_folder "$1").gone" ]; then
		site_begin "$1"
	elif [ "${SITE_KIND[$1]}" != 'file' ]; then
		site_do thaw "$1" || :
		site_do begin "$1" || :
	fi
}

empty() {
	site_names "$1" | while read -r f; do
		site_rm "$1" "$f"
	done
}

# Fragments of another set under the right names.
lying() {
	site_names "$1" | grep '\.gef$' | while read -r f; do
		cp "other/${f#*/}" lie
		site_put "$1" "$f" lie
	done
}

# The header altered, with the right checksum: one can see nothing wrong in it.
forging() {
	site_names "$1" | grep '\.gef$' | while read -r f; do
		site_get "$1" "$f" >lie
		i=${f##*/}
		i=${i#*.}
		i=${i%%.*}
		flip lie 64
		forge lie "$((10#$i))"
		site_put "$1" "$f" lie
	done
}

flipping() {
	site_names "$1" | grep '\.gef$' | while read -r f; do
		site_get "$1" "$f" >lie
		for o in 1500 5000 9000 13000; do
			[ "$(wc -c <lie)" -le $o ] || flip lie $o
		done
		site_put "$1" "$f" lie
	done
}

cutting() {
	site_names "$1" | grep '\.gef$' | while read -r f; do
		site_get "$1" "$f" | head -c $((100 + RANDOM % 3000)) >lie
		site_put "$1" "$f" lie
	done
}

# Who serves the manifest as it was before the last change of places.
old() {
	sed 's/^serial .*/serial 0/;/^previous /d;/^place /d' m >lie
	site_put "$1" "$set/manifest" lie
}

# A later manifest, of nobody, where all is at this one site.
usurping() {
	{
		sed -n '1,/^serial/p' m | sed 's/^serial .*/serial 99/'
		echo "previous $(sha256sum m | cut -c 1-64)"
		sed '1,/^serial/d;/^previous /d;/^place /d;/^signed /,$d;/^sig/d' m
		printf 'place 0 0-%s' $(($(grep -c '^segment ' m) - 1))
		for i in 0 1 2 3 4 5 6 7 8; do
			printf ' %s=site%s' $i "$1"
		done
		echo
	} >lie
	site_put "$1" "$set/manifest" lie
}

# nine_with KIND [OPTION ...]: the file in, a set of it on nine sites, its manifest m.
nine_with() {
	local kind=$1
	shift
	nine "$kind"
	[ -e in ] || bytes 150000 >in
	gefrag -q -b 4k -O payload=8k "$@" in | gepush -q -s sites >m
	set=$(sed -n 's/^set //p' m)
}

# pulls OPERAND ...: what is pulled so is the whole file.
pulls() {
	gepull -q -s sites "$@" >stream
	gejoin -q stream | cmp - in
}

# void STATUS ...: it fails so, and nothing in its output is a segment that is no
# prefix of the file.
void() {
	local want=$1
	shift
	expect "$want" gepull -q -s sites "$@"
	[ "$(wc -l <"$err")" -eq 1 ]
	gejoin -q "$out" >got 2>got.err && return 1
	cmp -s -n "$(wc -c <got)" got in
}

@test "gepull: --help, --version and wrong options are answered" {
	answers gepull
	expect 2 gepull -k 3
	grep -qx 'gepull: -k: no such option' "$err"
	: >m
	expect 2 gepull m
	said 'gepull: -s sites: which sites?'
	expect 2 gepull -s none m
	said "gepull: cannot open 'none': No such file or directory"
	echo "a file://$PWD/a operator=a region=a country=fr" >sites
	expect 2 gepull -s sites -x b m
	said "gepull: -x 'b': 'sites' has no such site"
	expect 2 gepull -s sites -R 1 m
	said "gepull: -R '1': not off:len"
	expect 2 gepull -s sites a/b
	said "gepull: 'a/b': no such file"
	expect 2 gepull -s sites m m
	expect 2 gepull -s sites -m m m
}

@test "gepull: a terminal gets no fragments" {
	echo "a file://$PWD/a operator=a region=a country=fr" >sites
	on_terminal 'gepull -s sites x </dev/zero' >"$out" || status=$?
	[ "${status-0}" -eq 2 ]
	grep -q 'gepull: standard output is a terminal: pipe it into gejoin' "$out"
}

@test "gepull: from a file, stdin, an id, a prefix, a label" {
	nine_with 'file' -N 'a label'
	pulls m
	pulls -m m
	pulls "$set"
	pulls "${set:0:4}"
	pulls 'a label'
	gepull -s sites <m | gejoin -q | cmp - in
	gepull -s sites - <m | gejoin -q | cmp - in
	[ "$(tar tf stream | tail -n 1)" = "$set/manifest" ]
	tar xOf stream "$set/manifest" | cmp - m
	# Just k of each segment, in order.
	tar tf stream | grep -c gef | grep -qx $((6 * $(grep -c '^segment ' m)))
	tar tf stream | grep gef | sort -c
	expect 4 gepull -s sites "${set:0:3}"
	said "gepull: '${set:0:3}': no such file or label; at least 4 digits of a set id are wanted"
	expect 4 gepull -s sites nonsense
	said "gepull: 'nonsense': no such file, set or label"
	expect 4 gepull -s sites 00000000000000000000000000000000
	said 'gepull: no site has a fragment of this set'
	[ ! -s "$out" ]
	site_kill 5
	expect 1 gepull -s sites nonsense
	grep -q "'nonsense': no such set; 1 sites did not answer" "$err"
	pulls 'a label'
	ls -A "$TMPDIR" | diff /dev/null -
}

@test "gepull: what means two sets is refused" {
	nine_with 'file' -N twice
	first=$set
	rm in
	bytes 1000 7 >in
	gefrag -q -N twice in | gepush -q -s sites >m2
	expect 5 gepull -s sites twice
	grep -qP "^gepull: 'twice': several sets have this label: name one by its id: [0-9a-f]{32}, [0-9a-f]{32}\$" "$err"
	told "$first"
	[ ! -s "$out" ]
	pulls m2
	for i in 1 2 3 4 5; do
		mkdir host$i/${first:0:4}0000000000000000000000000000
	done
	expect 5 gepull -s sites "${first:0:4}"
	grep -qP "^gepull: '${first:0:4}': several sets begin so: [0-9a-f]{32}, [0-9a-f]{32}\$" "$err"
	echo x >m
	expect 2 gepull -s sites m
	said "gepull: 'm': not a manifest"
	expect 2 gepull -s sites - <m
	said 'gepull: standard input: not a manifest'
	: >m
	expect 2 gepull -s sites m
	said "gepull: 'm': it is empty, and no manifest"
	expect 2 gepull -s sites <m
	said 'gepull: standard input: it is empty, and no manifest'
	sed 2d m2 >m
	expect 5 gepull -s sites m
	said "gepull: 'm': malformed manifest, line 2"
	# A folder is none.
	set=$(sed -n 's/^set //p' m2)
	mkdir "$set" "${set:0:6}" once
	pulls "$set"
	pulls "${set:0:6}"
	expect 4 gepull -s sites once
	expect 2 gepull -s sites ./once
	said "gepull: './once': no such file"
}

@test "gepull: one site gives no set a label, nor makes one ambiguous" {
	nine_with 'file' -N thesis
	mine=$set
	cp in first
	bytes 5000 9 >in
	gefrag -q in | gepush -q -s sites >m2
	theirs=$(sed -n 's/^set //p' m2)
	# The others do not say so.
	sed '/^previous /a name junk' m2 >"host4/$theirs/manifest"
	expect 4 gepull -s sites junk
	# The others do not say anything.
	rm host[1-35-9]/"$theirs/manifest"
	expect 5 gepull -s sites -O state="$PWD/none" junk
	said "gepull: 'junk': too few sites say that this label is of $theirs: name a set by its id"
	[ ! -s "$out" ]
	sed '/^previous /a name thesis' m2 >"host4/$theirs/manifest"
	expect 0 gepull -s sites -O state="$PWD/none" thesis
	said "gepull: 'thesis': too few sites say that this label is of $theirs as well"
	gejoin -q "$out" | cmp - first
	# Only he answers: still one.
	for i in 1 2 3 5 6 7 8 9; do
		site_kill $i
	done
	expect 5 gepull -q -s sites -O state="$PWD/void" thesis
	for i in 1 2 3 5 6 7 8 9; do
		site_begin $i
	done
	# Old manifests have the label too: all who say so count.
	for i in 1 2 3 4; do
		sed 's/^created 2/created 1/' m >"host$i/$mine/manifest"
	done
	rm host5/"$mine"/manifest
	expect 0 gepull -q -s sites -O state="$PWD/none" thesis
}

@test "gepull: few sites make no beginning of an id mean a set" {
	nine_with 'file' -N 20261121
	mine=$set
	cp in first
	bytes 5000 9 >in
	gefrag -q in | gepush -q -s sites >m2
	theirs=$(sed -n 's/^set //p' m2)
	# Only site 4 lists it, and another by its side.
	for i in 1 2 3 5 6 7 8 9; do
		mv "host$i/$theirs" "away$i"
	done
	fake=20261121${theirs:8}
	cp -r "host4/$theirs" "host4/$fake"
	expect 0 gepull -q -s sites 20261121
	gejoin -q "$out" | cmp - first
	rm "host4/$fake/manifest"
	expect 5 gepull -s sites "${theirs:0:6}"
	said "gepull: '${theirs:0:6}': only 1 of 9 sites list $theirs: give the whole id"
	[ ! -s "$out" ]
	mkdir "host4/${mine:0:6}${theirs:6}"
	expect 0 gepull -s sites "${mine:0:6}"
	gejoin -q "$out" | cmp - first
	# Most do, and it is a label as well.
	for i in 1 2 3 5 6; do
		mkdir "host$i/$fake"
	done
	expect 5 gepull -s sites 20261121
	said "gepull: '20261121': the beginning of $fake and the label of $mine: name one by its whole id"
	[ ! -s "$out" ]
}

@test "gepull: what one site lists is not all asked for its label" {
	nine_with 'file' -N thesis
	for i in $(seq 100); do
		mkdir "host4/$(printf '%032x' "$i")"
	done
	expect 0 gepull -s sites -O state="$PWD/none" thesis
	said 'gepull: sets that too few sites list to be asked for their labels: 84'
	gejoin -q "$out" | cmp - in
	expect 4 gepull -q -s sites nonsense
}

@test "gepull: no site has a manifest" {
	nine_with 'file'
	rm host?/*/manifest
	pulls "$set"
	expect 0 gepull -s sites -R 100:20000 "$set"
	gejoin -q -R 100:20000 "$out" |
	    cmp - <(tail -c +101 in | head -c 20000)
	# A site that lists segments that never were.
	: >"host1/$set/4294967295.00.gef"
	: >"host1/$set/0000000099.00.gef"
	pulls "$set"
	rm host1/$set/42* host1/$set/0000000099*
	last=$(ls host1/"$set" | sed 's/\..*//' | tail -n 1)
	rm host?/"$set/$last".*
	void 4 "$set"
	said 'gepull: the last segments are nowhere to be found'
	rm host[1234]/"$set"/0000000001.*
	void 4 "$set"
	said 'gepull: segment 1: 6 good fragments are needed, 5 can be had'
}

@test "gepull: without any manifest one liar is one witness, whatever it serves" {
	bytes 9000 >in
	for opts in '-k 2 -n 5' '-p -k 1 -n 3'; do
		rm -rf host?
		nine 'file'
		# shellcheck disable=SC2086	# words
		gefrag -q $opts -b 4k in | gepush -q -s sites >m
		set=$(sed -n 's/^set //p' m)
		bytes 9000 99 >false
		rm -rf lies
		# shellcheck disable=SC2086	# words
		gefrag -q -p -k 1 -n 64 -b 4k -d lies false
		rm host?/"$set"/manifest
		liar=$(ls -d host?/"$set"/*.gef | head -n 1)
		liar=${liar%/*}
		for f in lies/*/*.gef; do
			put "$f" 8 "$set"
			cp "$f" "$liar/"
		done
		pulls "$set"
	done
}

@test "gepull: any n-k sites dead, hung, empty or lying" {
	nine_with mixed
	bytes 150000 99 >other.in
	gefrag -q -b 4k -O payload=8k -d d other.in
	mv d/* other
	pulls m
	harms=(dead hung empty lying forging flipping cutting old usurping)
	i=0
	for a in "${harms[@]}"; do
		for b in "${harms[@]}"; do
			[[ $a < $b ]] && [ $((++i % 3)) -eq 0 ] || continue
			x=$((1 + i % 9)) y=$((1 + (i + 4) % 9)) z=$((1 + (i + 7) % 9))
			mkdir -p save
			for s in $x $y $z; do
				for f in $(site_names $s); do
					mkdir -p "save/$s/${f%/*}"
					site_get $s "$f" >"save/$s/$f"
				done
			done
			echo "$a $x, $b $y, ${harms[i % 9]} $z"
			$a $x
			$b $y
			${harms[i % 9]} $z
			pulls m
			for s in $x $y $z; do
				cures $s
				for f in $(cd save/$s && find . -type f | cut -c 3-)
				do
					site_rm $s "$f" || :
					site_put $s "$f" "save/$s/$f"
				done
			done
			rm -r save
		done
	done
	# The same by the id alone: what most sites say counts.
	lying 2
	usurping 5
	dead 9
	pulls "$set"
}

@test "gepull: who accepts and never answers is not waited for" {
	nine_with 'file' -N label
	mute 3
	n=7
	for port in $(cat ports); do
		sed -i "s|^\(site$n\t\)[^\t]*|\1dav://127.0.0.1:$port/x|" sites
		n=$((n + 1))
	done
	patience=(timeout 120 gepull -q -O stall=3600 -O total=3600 -s sites)
	for what in m label; do
		"${patience[@]}" "$what" >stream
		gejoin -q stream | cmp - in
	done
	rm host?/"$set"/manifest
	"${patience[@]}" "$set" >stream
	gejoin -q stream | cmp - in
	expect 1 timeout 120 gels -O stall=3600 -O total=3600 -s sites
	told "site 'site7'"
	grep -q "^$set" "$out"
	kill $MUTE
}

@test "gepull: one more than n-k and the output is void" {
	nine_with mixed
	bytes 150000 99 >other.in
	gefrag -q -b 4k -O payload=8k -d d other.in
	mv d/* other
	for s in 2 5 8; do
		lying $s
	done
	pulls m
	empty 3
	void 4 m
	grep -q '^gepull: segment [0-9]*: 6 good fragments are needed, 5 can be had$' \
	    "$err"
	dead 4
	void 1 m
	grep -q 'needed, . can be had; some sites do not answer$' "$err"
	# Cut off in the middle: what was told is true, and no more.
	expect 1 gepull -q -s sites -x site1 -x site6 -x site7 -x site9 m
	[ ! -s "$out" ] || fails gejoin -q "$out"
}

@test "gepull: no fragment whole, but k good blocks of each stripe" {
	bytes 200000 >in
	nine_with 'file' -O payload=48k
	grep -c '^segment ' m | grep -qx 1
	n=0
	for f in host?/"$set"/*.gef; do
		# Twelve stripes; three of the nine are bad in each.
		for s in 0 1 2 3 4 5 6 7 8; do
			[ $(((s + n) % 3)) -ne 0 ] ||
			    flip "$f" $(($(wc -c <"$f") - 4096 * s - 10))
		done
		n=$((n + 1))
	done
	expect 0 gepull -v -s sites m
	told 'blocks damaged'
	mv "$out" s
	gejoin -q s | cmp - in
	gepull -q -s sites -O set="$set" -j 1 "$set" | gejoin -q | cmp - in
	# One more, and that stripe is lost.
	f=$(ls host2/"$set"/*.gef)
	for s in 0 1 2; do
		flip "$f" $(($(wc -c <"$f") - 4096 * s - 20))
		put "$f" $(($(wc -c <"$f") - 4096 * s - 30)) 0102030405
	done
	void 4 m
}

@test "gepull: a range brings what it needs and no more" {
	for opts in '' -z '-p' '-p -k 1 -n 3'; do
		rm -rf host?
		# shellcheck disable=SC2086	# words
		nine_with 'file' $opts
		seg=$(sed -n 's/^segment 0 \([0-9]*\) .*/\1/p' m)
		for r in 0:1 149999:1 0:0 150000:0 $seg:0 $((seg - 1)):2 \
		    $((seg - 1)):1 $seg:1 0:$seg 0:150000 1:$((2 * seg)) \
		    4095:2 24560:20 70000:1 77777:33333; do
			expect 0 gepull -s sites -R $r m
			gejoin -q -R $r "$out" | cmp - \
			    <(tail -c +$((1 + ${r%:*})) in | head -c ${r#*:})
			[ "${r#*:}" -gt 2 ] ||
			    [ "$(tar tf "$out" | grep -c gef)" -le 18 ]
		done
		for r in 150000:1 150001:0 0:150001 9223372036854775807:1; do
			expect 2 gepull -s sites -R $r m
			said 'gepull: the range ends beyond the 150000 bytes of the set'
			[ ! -s "$out" ]
		done
	done
	: >in
	nine_with 'file'
	pulls m
	expect 0 gepull -s sites -R 0:0 m
	gejoin -q -R 0:0 "$out" | cmp - in
}

@test "gepull: plain sets, recipients, one job and many" {
	keys
	nine_with 'file' -p
	pulls m
	nine_with 'file' -p -k 1 -n 3
	pulls "$set"
	nine_with 'file' -k 2 -n 9 -z
	pulls -j 1 m
	nine_with 'file' -r anna.pub
	gepull -s sites -j 1 m | gejoin -q -i anna.pem | cmp - in
	gepull -s sites -j 64 m | gejoin -q -i anna.pem | cmp - in
	gepull -s sites -j 64 m | cmp - <(gepull -s sites -j 1 m) || :
}

@test "gepull: segments too large for memory go through a file" {
	bytes 50000000 >in
	nine 'file'
	# Sparse: the file is as large as its segment says, the disk hardly used.
	truncate -s 210M in
	gefrag -q -p -k 2 -n 3 -b 1m -O payload=110m in | gepush -q -s sites >m
	set=$(sed -n 's/^set //p' m)
	pulls m
	flip "$(ls host?/"$set"/*.00.gef)" 70000000
	flip "$(ls host?/"$set"/*.01.gef)" 60000000
	pulls m
	rm "$(ls host?/"$set"/*.02.gef)" stream
	expect 0 gepull -s sites -R 69999999:2000000 m
	gejoin -q -R 69999999:2000000 "$out" |
	    cmp - <(tail -c +70000000 in | head -c 2000000)
	ls -A "$TMPDIR" | diff /dev/null -
}

@test "gepull: -V and -O digest believe nobody else" {
	keys
	bytes 100000 >in
	nine 'file'
	gefrag -q -b 4k -O payload=8k -N 'some label' in |
	    gepush -q -S sign.pem -s sites >m
	set=$(sed -n 's/^set //p' m)
	for i in 1 2 3; do
		usurping $i
	done
	pulls -V sign.pub "$set"
	tar xOf stream "$set/manifest" | cmp - m
	pulls -O digest="$(sed -n 's/^digest //p' m)" "$set"
	expect 5 gepull -q -s sites -V other.pub m
	said "gepull: 'm': no manifest is signed by the key named"
	expect 5 gepull -q -s sites -O digest="$(printf %064d 0)" "$set"
	said 'gepull: no manifest has the digest named'
	expect 5 gepull -q -s sites -O set="$(printf %032d 0)" "$set"
	said 'gepull: the manifest is of another set than the one named'
	pulls -V sign.pub 'some label'
	expect 5 gepull -q -s sites -V other.pub 'some label'
	said "gepull: 'some label': no manifest is signed by the key named"
	expect 5 gepull -q -s sites -O digest="$(printf %064d 0)" 'some label'
	said "gepull: 'some label': no manifest has the digest named"
	expect 4 gepull -q -s sites -V other.pub 'another label'
	said "gepull: 'another label': no such file, set or label"
	rm host?/"$set"/manifest
	expect 4 gepull -q -s sites -V sign.pub "$set"
	said 'gepull: no manifest that fits'
	[ ! -s "$out" ]
}

@test "gepull: an older manifest than was seen is refused, and a fork" {
	nine_with 'file'
	export HOME=$BATS_TEST_TMPDIR/home
	state=$HOME/.local/state/getools/$set
	serial=$(sed -n 's/^serial //p' m)
	rm -f "$state"
	pulls m
	grep -q "^$serial " "$state"
	# Newer ones were seen.
	echo "77 $(printf %064d 0)" >"$state"
	expect 5 gepull -q -s sites m
	said "gepull: 'm': set $set: the manifest is older than what was seen (serial $serial, 77 was seen)"
	[ ! -s "$out" ]
	echo "$serial $(printf %064d 0)" >"$state"
	expect 5 gepull -q -s sites "$set"
	said "gepull: set $set has been forked: another manifest of serial $serial was seen"
	echo nonsense >"$state"
	expect 2 gepull -q -s sites "$set"
	# -O state=: elsewhere.
	pulls -O state="$PWD/mine" m
	grep -q "^$serial " "mine/$set"
	# One site cannot make us remember what never was.
	rm "$state"
	usurping 4
	pulls m
	grep -q "^$serial " "$state"
}

@test "gepull: the next manifest must follow on the one that was seen" {
	keys
	nine_with 'file'
	state=$PWD/st/$set
	mkdir st
	sed "s/^serial .*/serial 8/;s/^previous .*/previous $(printf %064d 5)/" m >m8
	for i in 1 2 3 4 5 6 7 8 9; do
		cp m8 "host$i/$set/manifest"
	done
	echo "7 $(printf %064d 5)" >"$state"
	pulls -O state="$PWD/st" "$set"
	grep -qx "8 $(sha256sum <m8 | cut -c 1-64)" "$state"
	echo "7 $(printf %064d 6)" >"$state"
	expect 5 gepull -q -s sites -O state="$PWD/st" "$set"
	said "gepull: set $set has been forked: the manifest does not follow on that of serial 7 that was seen"
	echo "6 $(printf %064d 6)" >"$state"
	pulls -O state="$PWD/st" "$set"
	# Its signer knows what he did.
	rm -r st/* host?/*
	gefrag -q in >set.ge
	gepush -q -s sites set.ge >m
	set=$(sed -n 's/^set //p' m)
	state=$PWD/st/$set
	gepush -q -S sign.pem -s sites set.ge >m
	echo "$(($(sed -n 's/^serial //p' m) - 1)) $(printf %064d 6)" >"$state"
	expect 5 gepull -q -s sites -O state="$PWD/st" "$set"
	pulls -V sign.pub -O state="$PWD/st" "$set"
}

# opened PID FILE: has the process opened it?
opened() {
	ls -l "/proc/$1/fd" 2>/dev/null | grep -q -- "-> $2\$"
}

@test "gepull: two at once do not forget what the other has seen" {
	nine_with 'file'
	mkdir st
	serial=$(sed -n 's/^serial //p' m)
	exec 9<st
	flock 9
	gepull -q -s sites -O state="$PWD/st" "$set" >stream 3>&- 9<&- &
	pid=$!
	# It asks for the lock, again and again.
	until_true opened $pid "$PWD/st"
	echo "$((serial + 1)) $(printf %064d 5)" >"st/$set"
	exec 9<&-
	wait $pid
	grep -q "^$((serial + 1)) " "st/$set"
}

@test "gepull: -x is not asked at all" {
	nine_with dav
	for i in 1 2 3; do
		fault $i '[]'
	done
	pulls -x site1 -x site2 -x site3 m
	for i in 1 2 3; do
		[ -z "$(fault_log $i)" ]
	done
	pulls -x site9 m
	[ -n "$(fault_log 1)" ]
}

@test "gepull: a site that is given up is not one that does not answer" {
	nine_with 'file'
	for i in 1 2 3; do
		site_kill $i
	done
	empty 4
	expect 1 gepull -q -s sites -x site1 -x site2 m
	expect 4 gepull -q -s sites -x site1 -x site2 -x site3 m
	said 'gepull: segment 0: 6 good fragments are needed, 5 can be had'
	expect 4 geverify -q -s sites -x site1 -x site2 -x site3 m
	for i in 5 6 7 8 9; do
		empty $i
	done
	expect 4 gepull -q -s sites -x site1 -x site2 -x site3 "$set"
	said 'gepull: no site has a fragment of this set'
	expect 4 gepull -q -s sites -x site1 -x site2 -x site3 m
}

# swollen FILE BYTES WORDS: m, and so many bytes of place lines.
swollen() {
	cat m
	yes "place $3" | head -n $(($2 / (${#3} + 7)))
} >"$1"

@test "gepull: the places that few sites tell of are not too many" {
	bytes 1600000 >in
	nine_with 'file'
	last=$(($(grep -c '^segment ' m) - 1))
	[ $last -ge 30 ]
	for i in 1 2 3; do
		swollen "host$i/$set/manifest" 9000000 "0 0-$last 0=s$i"
	done
	pulls "$set"
	expect 3 geverify -s sites "$set"
	told 'sites without the manifest: 3'
	expect 0 gerepair -s sites "$set"
	cmp "$out" m
	expect 0 geverify -q -s sites "$set"
	said
}

@test "gepull: of long manifests the one that counts is had again" {
	nine_with 'file'
	for i in 1 2 3 4; do
		swollen "host$i/$set/manifest" 9000000 "0 0-0 0=s$i"
	done
	swollen long 20000000 '0 0-0 0=site1'
	for i in 5 6 7 8 9; do
		cp long "host$i/$set/manifest"
	done
	pulls -O state="$PWD/none" "$set"
	tar xOf stream "$set/manifest" | cmp - long
	[ -z "$GE_SAN" ] || return 0	# memory is its own then
	python3 - "$set" <<-'EOF'
	import resource, subprocess, sys
	subprocess.run(["gepull", "-q", "-s", "sites", "-O", "state=none",
	    sys.argv[1]], stdout=subprocess.DEVNULL, check=True)
	peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
	assert peak < 256, peak
	EOF
}

@test "gepull: a manifest that grows as fast as it is read" {
	nine_with dav
	fault 3 '[{"method": "GET", "path": "/manifest", "grows": true}]'
	pulls "$set"
	expect 3 gerepair -q -O tries=1 -s sites m
}

@test "gepull: the rest of a long manifest that comes by drops" {
	nine_with dav
	swollen long 600000 '0 0-0 0=site1'
	for i in 1 2 3 4 5 6 7 8 9; do
		site_put $i "$set/manifest" long
	done
	# What has not been asked for comes at once.
	fault 3 '[{"method": "GET", "path": "/manifest", "nth": 1},
	    {"method": "GET", "path": "/manifest", "rate": 10}]'
	expect 0 gepull -v -O state="$PWD/none" -s sites "$set"
	told 'a slow site was not waited for'
	gejoin -q "$out" | cmp - in
	# What is no manifest of the set is not read to its end.
	head -c 60000000 /dev/zero >zeros
	site_put 3 "$set/manifest" zeros
	fault 3 '[{"method": "GET", "path": "/manifest", "times": 1},
	    {"method": "GET", "path": "/manifest", "status": 500}]'
	expect 0 gepull -O state="$PWD/none" -s sites "$set"
	told "site 'site3': what is there is no manifest of the set"
	fault_log 3 | tail -n 1 | grep -q 'bytes=0-'
}

@test "gepull: half bodies, endless bodies, gzip, redirects, a wrong clock" {
	nine_with s3
	for rule in '"cut_down": 300' '"truncate": 300' '"endless": true' \
	    '"gzip": true' '"redirect": "http://127.0.0.1:1/"' '"skew": 9000' \
	    '"status": 500' '"garbage": true' '"empty": true' '"blank": true' \
	    '"ignore_range": true' '"shift_range": 64' '"flip_down": 2000' \
	    '"older": 1' '"reset": true'; do
		echo "$rule"
		for i in 2 5 7; do
			fault $i "[{$rule}]"
		done
		pulls m
		gepull -q -s sites -R 100000:3000 "$set" >s
		gejoin -q -R 100000:3000 s |
		    cmp - <(tail -c +100001 in | head -c 3000)
	done
}

@test "gepull: a reader that leaves, a full disk, a signal" {
	nine_with 'file'
	gepull -s sites m 2>"$err" | head -c 1000 >"$out" ||
	    [ "${PIPESTATUS[0]}" -eq 141 ] || [ "${PIPESTATUS[0]}" -eq 1 ]
	expect 1 bash -c 'gepull -s sites m >/dev/full'
	grep -q 'No space left on device' "$err"
	bytes 3000000 >in
	nine_with 'file' -O payload=256k
	heeds gepull -s sites m
	ls -A "$TMPDIR" | diff /dev/null -
}

@test "gepull: SIGTERM while sites hang" {
	nine_with dav
	for i in 1 2 3 4; do
		site_freeze $i
	done
	gepull -q -O stall=100 -s sites m >"$out" 2>"$err" 3>&- &
	pid=$!
	until_true test -s "$out" || :
	kill -TERM $pid
	until_true ended $pid || kill -KILL $pid
	status=0
	wait $pid || status=$?
	[ $status -eq 143 ]
	ls -A "$TMPDIR" | diff /dev/null -
}

@test "gepull: a site that is refreshed only in part" {
	nine_with 'file'
	# The next epoch of some indices lies beside the old, and leads nowhere.
	for i in 1 2 3 4 5; do
		for f in host$i/"$set"/*.gef; do
			head -c 100 "$f" >"${f%.gef}.001.gef"
		done
	done
	pulls m
	rm host?/"$set"/manifest
	pulls "$set"
}
