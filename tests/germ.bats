load helper
load servers

HEADER=$'#status\tset\tsite\tobject\tdetail'

setup_file() {
	export XDG_STATE_HOME=$BATS_FILE_TMPDIR/state
}

# three: a sites file with the folders a, b and c.
three() {
	local s
	for s in a b c; do
		mkdir $s
		echo "$s file://$PWD/$s operator=$s region=$s country=fr"
	done >sites
}

# set_at LABEL [BYTES]: a set of two of three, index I at the I-th of the sites;
# its id.
set_at() {
	local id s i=0
	bytes "${2-20000}" >in
	rm -rf d
	gefrag "${SMALL[@]}" -N "$1" -d d in
	id=$(ls d)
	for s in a b c; do
		mkdir "$s/$id"
		cp "d/$id/manifest" "d/$id/"*.0$i.gef "$s/$id"
		i=$((i + 1))
	done
	echo "$id"
}

# reported LINE ...: the report was its header and these lines in any order, the
# set left out, the columns separated by blanks.
reported() {
	[ "$(sed -n 1p "$out")" = "$HEADER" ]
	[ -z "$(awk -F '\t' 'NF != 5' "$out")" ]
	if [ $# -eq 0 ]; then
		[ "$(wc -l <"$out")" -eq 1 ]
	else
		diff <(printf '%s\n' "$@" | sort) <(sed 1d "$out" | awk -F '\t' \
		    '{ sub(/[0-9a-f]*\//, "", $4); print $1, $3, $4, $5 }' |
		    sort)
	fi
}

# nothing: the sites are empty.
nothing() {
	find a b c -mindepth 1 | diff /dev/null -
}

# unreadable ID: of no segment two indices are left in what the sites hold.
unreadable() {
	[ -z "$(find a b c -path "*/$1/*.gef" -printf '%f\n' |
	    cut -d . -f 1-2 | sort -u | cut -d . -f 1 | uniq -d)" ]
}

@test "germ: --help, --version and wrong options are answered" {
	answers germ
	expect 2 germ
	told 'usage: germ'
	expect 2 germ -f x
	said 'germ: -s sites: which sites?'
	three
	expect 2 germ -f -s sites -x nobody x
	said "germ: -x 'nobody': 'sites' has no such site"
}

@test "germ: without a terminal and without -f nothing is removed" {
	three
	id=$(set_at x)
	expect 2 setsid -w germ -s sites "$id"
	said 'germ: not a terminal: -f removes without asking'
	[ ! -s "$out" ]
	[ "$(find a b c -type f | wc -l)" -eq 12 ]
}

@test "germ: asked on the terminal, only y removes" {
	three
	id=$(set_at 'some label')
	for answer in n '' no Ny; do
		echo "$answer" | script -qec "germ -s sites $id" /dev/null \
		    >"$out" || status=$?
		[ $status -eq 5 ]
		grep -qF "set $id 'some label': 9 fragments, " "$out"
		grep -q ' KiB, at 3 sites a b c.$' "$out"
		grep -qF 'remove it for good? [y/N] ' "$out"
		[ "$(find a b c -type f | wc -l)" -eq 12 ]
	done
	grep -q "germ: set $id: not removed: the answer was no.\$" "$out"
	echo y | script -qec "germ -O shares -s sites $id" /dev/null >"$out"
	grep -qF 'make it unreadable for good? [y/N] ' "$out"
	unreadable "$id"
	mv b away
	rm -f a/"$id"/*
	: >"a/$id/.tmp"
	echo n | script -qec "germ -qs sites $id" /dev/null >"$out" || :
	grep -q 'at 2 sites a c; sites that did not answer, and keep what they hold: 1.$' \
	    "$out"
	mv away b
	echo y | script -qec "germ -s sites $id" /dev/null >"$out"
	nothing
}

@test "germ: what is left over is something, and its site is counted" {
	three
	id=$(set_at x)
	rm ?/"$id"/*
	: >"b/$id/.tmp"
	expect 0 germ -f -s sites "$id"
	said
	nothing
}

@test "germ: of several operands the worst status counts" {
	three
	set_at twice
	set_at twice
	expect 2 germ -f -s sites ./nowhere twice
	expect 2 germ -f -s sites twice ./nowhere
	expect 5 germ -f -s sites twice nope
}

@test "germ: a set goes, and no other" {
	three
	id=$(set_at x)
	other=$(set_at y)
	expect 0 germ -f -s sites "$id"
	said
	reported
	[ "$(find a b c -mindepth 1 -type d)" = "$(printf '%s\n' a/"$other" \
	    b/"$other" c/"$other")" ]
	[ "$(find a b c -type f | wc -l)" -eq 12 ]
	expect 0 germ -f -s sites "$id"
	said "germ: set $id: no site lists anything of it"
	expect 0 germ -qf -s sites "$id"
	said
}

@test "germ: by beginning, label and manifest; what is ambiguous is refused" {
	three
	for o in id label file stdin; do
		id=$(set_at 'a label')
		case $o in
		id)	expect 0 germ -f -s sites "${id:0:8}" ;;
		label)	expect 0 germ -f -s sites 'a label' ;;
		file)	expect 0 germ -f -s sites "d/$id/manifest" ;;
		stdin)	expect 0 germ -f -s sites - <"d/$id/manifest" ;;
		esac
		nothing
	done
	id=$(set_at twice)
	set_at twice
	find a b c | sort >before
	expect 5 germ -f -s sites twice
	told "germ: 'twice': several sets have this label: name one by its id: "
	told "$id"
	expect 4 germ -f -s sites thrice
	expect 4 germ -f -s sites 'a label'
	expect 5 germ -f -s sites -O set="$(printf %032d 1)" "$id"
	find a b c | sort | diff before -
	# The others go even so.
	expect 5 germ -f -s sites nope twice "$id"
	fails ls a/"$id"
	[ "$(wc -l <"$err")" -eq 2 ]
}

@test "germ: a manifest's file, however old, names its set in full" {
	three
	id=$(set_at x)
	sed "s/^serial .*/serial 1/;s/^previous .*/previous $(printf %064d 0)/" \
	    "d/$id/manifest" | tee [abc]/"$id"/manifest >m
	expect 0 germ -f -s sites m
	nothing
	expect 0 germ -f -s sites "d/$id/manifest"
	told "set $id: 'd/$id/manifest': "
	told "set $id: no site lists anything of it"
	# With a pin it is what is signed that may go.
	keys
	expect 5 germ -f -s sites -V sign.pub "d/$id/manifest"
	echo "gefrag-manifest v9" >m
	expect 5 germ -f -s sites m
	echo "another file" >m
	expect 2 germ -f -s sites m
}

@test "germ: a label that one site has given a set removes nothing" {
	three
	id=$(set_at precious)
	find a b c | sort >before
	sed 's/^name .*/name junk/' "d/$id/manifest" >"b/$id/manifest"
	expect 4 germ -f -s sites junk
	mv "a/$id/manifest" m
	rm "c/$id/manifest"
	expect 5 germ -f -s sites -O state="$PWD/none" junk
	said "germ: 'junk': too few sites say that this label is of $id: name a set by its id"
	cp m "a/$id/manifest"
	cp m "c/$id/manifest"
	find a b c | sort | diff before -
	# Two of three do.
	expect 0 germ -f -s sites precious
	fails ls a/"$id"
}

@test "germ: the beginning of an id that one site lists removes nothing" {
	three
	id=$(set_at precious)
	rm -r "a/$id" "b/$id"
	find a b c | sort >before
	expect 5 germ -f -s sites "${id:0:8}"
	said "germ: '${id:0:8}': only 1 of 3 sites list $id: give the whole id"
	find a b c | sort | diff before -
	expect 0 germ -f -s sites "$id"
	fails ls c/"$id"
}

@test "germ: -t lists all and removes nothing" {
	three
	id=$(set_at x 10)
	: >"b/$id/.tmp"
	find a b c | sort >before
	expect 0 germ -t -s sites "$id"
	reported 'listed a 0000000000.00.gef -' 'listed b 0000000000.01.gef -' \
	    'listed c 0000000000.02.gef -' 'listed b .tmp -' \
	    'listed a manifest -' 'listed b manifest -' 'listed c manifest -'
	cut -f 4 "$out" | grep -c gef | grep -qx 3
	sed 1d "$out" | cut -f 4 | tail -n 3 | grep -vc manifest | grep -qx 0
	find a b c | sort | diff before -
}

@test "germ: -v reports what has been removed, what can be read first" {
	three
	id=$(set_at x)
	expect 0 germ -fv -s sites "$id"
	said "germ: set $id: objects removed: 12"
	[ "$(sed 1d "$out" | cut -f 1 | sort -u)" = removed ]
	[ "$(sed 1d "$out" | wc -l)" -eq 12 ]
	# Two of three indices of each of the three segments, then the third.
	sed 1d "$out" | cut -f 4 | head -n 6 | cut -d . -f 1 | sort | uniq -c |
	    awk '$1 != 2 { exit 1 }'
	sed 1d "$out" | cut -f 4 | tail -n 3 | sort -u | grep -qx "$id/manifest"
	nothing
}

@test "germ: -O shares removes n-k+1 indices of each segment, no more" {
	three
	id=$(set_at x)
	expect 0 germ -fv -O shares -s sites x
	[ "$(sed 1d "$out" | wc -l)" -eq 6 ]
	unreadable "$id"
	[ "$(find a b c -name '*.gef' | wc -l)" -eq 3 ]
	[ "$(find a b c -name manifest | wc -l)" -eq 3 ]
	expect 4 gejoin a b c
	# Fragments of every epoch, wherever they are.
	id=$(set_at y)
	cp "a/$id/0000000000.00.gef" "c/$id/0000000000.00.003.gef"
	cp "a/$id/0000000001.00.gef" "b/$id/"
	expect 0 germ -f -O shares -s sites "$id"
	unreadable "$id"
	# A manifest and headers that tell of another k: the safer side.
	id=$(set_at z)
	sed -i 's/^code 1 2 3/code 1 3 3/' ?/"$id/manifest"
	expect 0 germ -f -O shares -s sites "$id"
	unreadable "$id"
	# Nobody knows k.
	id=$(set_at none)
	rm [abc]/"$id/manifest"
	for f in [abc]/"$id"/*.gef; do
		bytes 200 >"$f"
	done
	expect 5 germ -f -O shares -s sites "$id"
	said "germ: set $id: nothing tells k and n"
	[ "$(find a b c -path "*/$id/*.gef" | wc -l)" -eq 9 ]
	expect 0 germ -f -s sites "$id"
}

@test "germ: what a killed push or gerepair left goes too, with no manifest" {
	three
	id=$(set_at x)
	rm [abc]/"$id/manifest"
	: >"a/$id/.0000000000.00.gef.Tmp_1"
	: >"b/$id/0000000000.01.gef.bad"
	: >"c/$id/notes"
	: >"c/$id/0000000009.63.255.gef"
	expect 0 germ -f -s sites "$id"
	nothing
	# Even where there is nothing but the folder.
	mkdir "a/$id"
	expect 0 germ -f -s sites "$id"
	nothing
}

@test "germ: names that are no names, and folders, are left and reported" {
	three
	id=$(set_at x)
	printf -v nasty 'a\n\033[31m/../b'
	: >"a/$id/${nasty//\//_}"
	: >"a/$id/with blank"
	: >"b/$id/$(printf %0200d 0)"
	mkdir "c/$id/0000000000.02.004.gef" "c/$id/sub"
	: >"c/$id/sub/x"
	expect 1 germ -f -s sites "$id"
	reported 'left a a%0A%1B[31m_.._b not a name that a site can be asked for' \
	    'left a with%20blank not a name that a site can be asked for' \
	    "left b $(printf %0200d 0) not a name that a site can be asked for" \
	    'left c 0000000000.02.004.gef a folder, which no set has' \
	    'left c sub a folder, which no set has'
	said "germ: set $id: objects left: 5"
	[ "$(find a b c -type f -printf . | wc -c)" -eq 4 ]
	expect 1 germ -qf -s sites "$id"
	rm -r [abc]/"$id"
	expect 0 germ -f -s sites "$id"
}

@test "germ: links are removed, not what they lead to" {
	three
	id=$(set_at x)
	: >keep
	ln -s ../../keep "a/$id/0000000007.00.gef"
	ln -s ../../keep "a/$id/link"
	expect 0 germ -f -s sites "$id"
	nothing
	[ -e keep ]
}

@test "germ: a site that does not answer keeps what it has, which is said" {
	three
	id=$(set_at x)
	mv b away
	expect 1 germ -f -s sites "$id"
	told "germ: site 'b' did not answer: what it holds is still there"
	[ "$(tail -n 1 "$err")" = \
	    "germ: set $id: sites that did not answer: b" ]
	[ "$(sed 1d "$out" | cut -f 1,3,4)" = "$(printf 'left\tb\t%s/' "$id")" ]
	find a c -mindepth 1 | diff /dev/null -
	mv away b
	# It still knows the label.
	expect 0 germ -f -s sites x
	nothing
	# Treated as gone for good.
	id=$(set_at x)
	mv b away
	expect 0 germ -f -s sites -x b "$id"
	reported
	expect 1 germ -qf -s sites x
}

# in_order: nothing of what can wait has gone while something can be read.
in_order() {
	local left
	left=$(find a b c -name '*.gef' -printf '%f\n' | cut -d . -f 1 | sort |
	    uniq -c | awk '{ print $1 }' | sort -nr)
	if [ "$(wc -w <<<"$left")" -lt 3 ]; then	# a segment has none
		[ "$((0$(head -n 1 <<<"$left")))" -le 1 ]
	fi
	if [ "$(find a b c -name manifest | wc -l)" -lt 3 ]; then
		find a b c -name '*.gef' -o -name '.tmp' | diff /dev/null -
	fi
}

@test "germ: killed at any moment and run again, all is gone" {
	[ -z "$GE_SAN" ] || skip 'ptrace and sanitizers do not mix'
	three
	n=0
	while :; do
		n=$((n + 1))
		id=$(set_at x)
		: >"a/$id/.tmp"
		if "$GE_BUILD/fault/sysfault" -n $n -k -o hit \
		    -t unlink,unlinkat,rmdir,fsync germ -f -s sites "$id" \
		    >"$out" 2>/dev/null; then
			break
		fi
		in_order
		if find a b c -name manifest | grep -q .; then
			expect 0 germ -f -s sites x
		else
			expect 0 germ -f -s sites "$id"
		fi
		nothing
	done
	nothing
	[ $n -gt 30 ]
}

@test "germ: without memory it ends with 1, and the next run does it" {
	three
	id=$(set_at x)
	cp -r a b c "$BATS_TEST_TMPDIR/tmp"
	passed=0
	for ((i = 1; passed < 3; i++)); do
		cp -r "$BATS_TEST_TMPDIR/tmp"/* .
		status=0
		GE_FAILALLOC=$i germ -f -s sites "$id" >"$out" 2>"$err" ||
		    status=$?
		if [ $status -eq 0 ]; then
			passed=$((passed + 1))
			nothing
		else
			passed=0
			[ $status -eq 1 ]
			[ -s "$err" ]
		fi
	done
	[ $i -gt 20 ]
}

@test "germ: only what the key named has signed" {
	three
	keys
	gefrag "${SMALL[@]}" -N s -S sign.pem -d d <<<x
	cp -r d/* a
	id=$(ls d)
	expect 5 germ -f -s sites -V other.pub "$id"
	[ "$(find a -type f | wc -l)" -eq 4 ]
	expect 0 germ -f -s sites -V sign.pub "$id"
	nothing
	id=$(set_at unsigned)
	expect 5 germ -f -s sites -V sign.pub "$id"
	[ "$(find a b c -type f | wc -l)" -eq 12 ]
}

@test "germ: the same report whatever -j" {
	three
	id=$(set_at x 100000)
	cp -r a b c d "$BATS_TEST_TMPDIR/tmp"
	expect 0 germ -fv -j 1 -s sites "$id"
	cp "$out" one
	cp -r "$BATS_TEST_TMPDIR/tmp"/* .
	expect 0 germ -fv -j 64 -s sites "$id"
	cmp "$out" one
}

# on_servers KIND: a set goes from nine of them, also after one was away.
on_servers() {
	local id i
	nine "$1"
	bytes 20000 >in
	gefrag -b 4k -N 'on servers' -d d in
	id=$(ls d)
	for i in 1 2 3 4 5 6 7 8 9; do
		site_put "$i" "$id/manifest" "d/$id/manifest"
		site_put "$i" "$id/0000000000.0$((i - 1)).gef" \
		    "d/$id/0000000000.0$((i - 1)).gef"
	done
	site_put 5 "$id/.x.tmp" in
	site_put 6 "$(printf %032d 7)/notes" in
	site_kill 9
	expect 1 germ -f -s sites -O tries=1 'on servers'
	told "germ: site 'site9' did not answer: what it holds is still there"
	[ "$(sed 1d "$out" | cut -f 1,3,4)" = \
	    "$(printf 'left\tsite9\t%s/' "$id")" ]
	[ "$(site_names 6)" = "$(printf %032d 7)/notes" ]
	site_begin 9
	expect 0 germ -fv -s sites 'on servers'
	reported 'removed site9 0000000000.08.gef -' 'removed site9 manifest -'
	for i in 1 2 3 4 5 7 8 9; do
		[ -z "$(site_names "$i")" ]
	done
	expect 0 gels -s sites
	[ "$(sed 1d "$out" | cut -f 1)" = "$(printf %032d 7)" ]
}

@test "germ: nine folders" {
	on_servers file
}

@test "germ: nine S3 servers" {
	on_servers s3
}

@test "germ: nine SFTP servers" {
	on_servers sftp
}

@test "germ: nine WebDAV servers" {
	on_servers davs
}

@test "germ: nine servers of all kinds" {
	on_servers mixed
}

# refusing KIND: a site that answers and will not remove, or says so and does not.
refusing() {
	local id i
	nine "$1"
	gefrag -k 2 -n 3 -b 4k -O payload=4k -N x -d d <<<x
	id=$(ls d)
	for i in 1 2 3; do
		site_put "$i" "$id/manifest" "d/$id/manifest"
		site_put "$i" "$id/0000000000.0$((i - 1)).gef" \
		    "d/$id/0000000000.0$((i - 1)).gef"
	done
	fault 2 '[{"method": "DELETE", "status": 403}]'
	expect 1 germ -f -s sites "$id"
	sed 1d "$out" | cut -f 1,3,4 | diff - <(printf 'left\tsite2\t%s/%s\n' \
	    "$id" 0000000000.01.gef "$id" manifest)
	[ -z "$(site_names 1)$(site_names 3)" ]
	fault 2 '[{"method": "DELETE", "status": 204}]'
	expect 1 germ -f -s sites "$id"
	grep -q "0000000000.01.gef	it is listed still" "$out"
	fault 2 '[{"method": "DELETE", "status": 503}]'
	expect 1 germ -f -s sites -O tries=1 "$id"
	fault 2 '[]'
	expect 0 germ -f -s sites "$id"
	[ -z "$(site_names 2)" ]
}

@test "germ: S3 that will not, or only says so" {
	refusing s3
}

@test "germ: WebDAV that will not, or only says so" {
	refusing davs
}

@test "germ: a hostile listing removes nothing elsewhere" {
	nine s3
	echo something >in
	gefrag -k 2 -n 3 -N x -d d <<<x
	id=$(ls d)
	for i in 1 2 3; do
		site_put "$i" "$id/manifest" "d/$id/manifest"
		site_put "$i" "$id/0000000000.0$((i - 1)).gef" \
		    "d/$id/0000000000.0$((i - 1)).gef"
		site_put "$i" "$(printf %032d 7)/manifest" in
	done
	fault 2 '[{"method": "GET", "hostile": true}]'
	expect 1 germ -f -s sites "$id"
	[ -z "$(fault_log 2 | grep DELETE | grep -v "$id")" ]
	[ "$(sed 1d "$out" | cut -f 1,3,4)" = \
	    "$(printf 'left\tsite2\t%s/' "$id")" ]
}

@test "germ: what was being put goes with the fragments that it was to become" {
	three
	id=$(set_at x)
	for i in 0 1 2; do
		: >"b/$id/.0000000000.0$i.gef.123-0.tmp"
		: >"c/$id/.0000000000.0$i.007.gef.9-0123456789abcdef.tmp"
	done
	: >"a/$id/.0000000000.00.gef.tmp"
	: >"a/$id/.0000000000.00.gef.x-1.tmp"
	expect 0 germ -f -O shares -s sites "$id"
	find a b c -name '.0*' -printf '%f\n' | sort | diff - <(printf '%s\n' \
	    .0000000000.00.gef.tmp .0000000000.00.gef.x-1.tmp \
	    .0000000000.02.007.gef.9-0123456789abcdef.tmp \
	    .0000000000.02.gef.123-0.tmp)
	expect 0 germ -f -s sites "$id"
	nothing
}
