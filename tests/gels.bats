load helper
load servers

HEADER=$'#set\tcreated\tbytes\tstored\tcode\tfragments\tsites\thealth\tleftovers\tlabel'

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

# listed LINE ...: the report was its header and these lines, of the columns
# code, fragments, sites, health, leftovers and label.
listed() {
	[ "$(sed -n 1p "$out")" = "$HEADER" ]
	[ -z "$(awk -F '\t' 'NF != 10' "$out")" ]
	sed 1d "$out" | cut -f 1 | sort -c
	if [ $# -eq 0 ]; then
		[ "$(wc -l <"$out")" -eq 1 ]
	else
		diff <(printf '%s\n' "$@" | sort) <(sed 1d "$out" |
		    cut -f 5- | tr '\t' ' ' | sort)
	fi
}

@test "gels: --help, --version and wrong options are answered" {
	answers gels
	expect 2 gels
	said 'gels: -s sites: which sites?'
	expect 2 gels -s nowhere
	[ ! -s "$out" ]
	three
	expect 2 gels -s sites -x nobody
	said "gels: -x 'nobody': 'sites' has no such site"
}

@test "gels: sites that hold nothing are a header, and 0" {
	three
	expect 0 gels -s sites
	said
	listed
	expect 0 gels -qs sites
	listed
}

@test "gels: a set is a line: id, time, bytes, stored, label escaped" {
	three
	id=$(set_at 'thesis 100% ü.tar')
	expect 0 gels -s sites
	said
	listed '2/3 9/9 3 whole 0 thesis 100%25 %C3%BC.tar'
	[ "$(sed 1d "$out" | cut -f 1-4)" = "$id	$(sed -n \
	    's/^created //p' "a/$id/manifest")	20000	$(cat [abc]/*/* | wc -c)" ]
	gefrag "${SMALL[@]}" -d d2 </dev/null
	cp -r d2/* a
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 0 thesis 100%25 %C3%BC.tar' \
	    '2/3 3/3 1 whole 0 -'
	expect 0 gels -vs sites
	told 'gels: 2 sets, '
	told 'gels: whole: 2'
	expect 1 bash -c "gels -s sites >/dev/full"
}

@test "gels: degraded, lost and partial, by what is listed" {
	three
	id=$(set_at x)
	rm "b/$id/0000000001.01.gef"
	expect 0 gels -s sites
	listed '2/3 8/9 3 degraded 0 x'
	# Too short to be one.
	: >"b/$id/0000000001.01.gef"
	expect 0 gels -s sites
	listed '2/3 8/9 3 degraded 1 x'
	rm "c/$id/0000000001.02.gef"
	expect 0 gels -s sites
	listed '2/3 7/9 3 lost 1 x'
	rm ?/"$id/manifest"
	expect 0 gels -s sites
	listed '2/3 8/- 3 partial 0 -'
	sed 1d "$out" | cut -f 2-3 | grep -qx -- $'-\t-'
	# What is no fragment tells nothing of k and n.
	for f in ?/"$id"/*.gef; do
		bytes 100 >"$f"
	done
	expect 0 gels -s sites
	listed '- 8/- 3 partial 0 -'
	rm ?/"$id"/*
	expect 0 gels -s sites
	listed '- 0/- 3 partial 0 -'
}

@test "gels: a copy elsewhere counts once, another epoch is left over" {
	three
	id=$(set_at x)
	cp "a/$id/0000000000.00.gef" "b/$id"
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 1 x'
	# All of one epoch or nothing.
	mv "a/$id/0000000001.00.gef" "a/$id/0000000001.00.001.gef"
	expect 0 gels -s sites
	listed '2/3 9/9 3 degraded 1 x'
	for s in 1.b 2.c; do
		f=${s#*.}/$id/0000000001.0${s%.*}
		cp "$f.gef" "$f.001.gef"
	done
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 3 x'
	# Nor fragments of segments and indices that the set has not.
	cp "a/$id/0000000002.00.gef" "a/$id/0000000003.00.gef"
	cp "a/$id/0000000002.00.gef" "a/$id/0000000002.03.gef"
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 5 x'
}

@test "gels: names that are none are left over, shown harmless, never used" {
	three
	id=$(set_at x)
	: >"a/$id/.0000000000.00.gef.tmp"
	: >"a/$id/0000000000.00.gef.bad"
	: >"a/$id/00000000000.00.gef"
	: >"a/$id/0000000000.00.000.gef"
	: >"b/$id/"$'a\n\033[31mb\tc\177'
	: >"b/$id/"$'\xff\xfe'
	: >"b/$id/$(printf %0255d 0)"
	mkdir "c/$id/0000000000.00.gef" "c/$id/manifest.d"
	ln -s nowhere "c/$id/link"
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 10 x'
	said
	expect 0 gels -vs sites
	told "gels: site 'a': '$id/.0000000000.00.gef.tmp' is left over"
	told "gels: site 'b': '$id/a%0A%1B[31mb%09c%7F' is left over"
	told "gels: site 'b': '$id/%FF%FE' is left over"
	told "gels: site 'c': '$id/0000000000.00.gef' is left over"
	[ -z "$(tr -d '\n -~' <"$err")" ]
	# Beside the sets.
	mkdir a/lost+found "a/$(printf %032d 0)x" "a/$(printf %031dA 0)" \
	    a/$'new\nline'
	: >"a/$(printf %032d 5)"
	expect 0 gels -s sites
	said
	listed '2/3 9/9 3 whole 10 x'
	expect 0 gels -vs sites
	told "gels: site 'a': 'lost+found' is no set"
	told "gels: site 'a': 'new%0Aline' is no set"
	told "gels: site 'a': '$(printf %032d 5)' is no set"
}

@test "gels: only the sets asked for, by id, its beginning, label" {
	three
	one=$(set_at one)
	two=$(set_at 'two words')
	again=$(set_at one)
	for o in "$one" "${one:0:12}"; do
		expect 0 gels -s sites "$o"
		[ "$(sed 1d "$out" | cut -f 1)" = "$one" ]
	done
	expect 0 gels -s sites 'two words'
	[ "$(sed 1d "$out" | cut -f 1)" = "$two" ]
	expect 0 gels -s sites one
	[ "$(sed 1d "$out" | cut -f 1)" = "$(printf '%s\n' "$one" "$again" |
	    sort)" ]
	expect 0 gels -s sites one "$two"
	listed '2/3 9/9 3 whole 0 one' '2/3 9/9 3 whole 0 one' \
	    '2/3 9/9 3 whole 0 two words'
	expect 4 gels -s sites one nope
	said "gels: 'nope': no such set or label"
	listed '2/3 9/9 3 whole 0 one' '2/3 9/9 3 whole 0 one'
	expect 4 gels -s sites "${one:0:3}"
	cp "a/$two/manifest" m.ge
	for o in m.ge - ./m.ge; do
		expect 0 gels -s sites $o <m.ge
		[ "$(sed 1d "$out" | cut -f 1)" = "$two" ]
	done
	expect 0 gels -s sites m.ge "$one"
	[ "$(sed 1d "$out" | wc -l)" -eq 2 ]
	expect 2 gels -s sites ./nowhere
	said "gels: './nowhere': no such file"
	expect 2 gels -s sites in
	grep -q "^gels: 'in': " "$err"
	rm -r [abc]/"$two"
	expect 4 gels -s sites m.ge
	said "gels: 'm.ge': no such set or label"
	mv c away
	expect 1 gels -qs sites nope
	said "gels: 'nope': no such set or label; sites that did not answer: c"
}

@test "gels: of what one site alone lists not all is looked at" {
	three
	one=$(set_at one)
	for i in $(seq 120); do
		mkdir "b/$(printf '%032x' "$i")"
	done
	expect 0 gels -s sites
	said "gels: site 'b': 120 sets that no other site lists: the first 100 were looked at"
	[ "$(grep -c '	partial	' "$out")" -eq 100 ]
	[ "$(grep -c '	unknown	' "$out")" -eq 20 ]
	[ "$(grep -c '	whole	' "$out")" -eq 1 ]
	sed 1d "$out" | cut -f 1 | sort -c
	expect 0 gels -qs sites "$one" "$(printf '%032x' 120)"
	listed '2/3 9/9 3 whole 0 one' '- 0/- 1 partial 0 -'
	expect 0 gels -qs sites one
	listed '2/3 9/9 3 whole 0 one'
	expect 1 gels -qs sites nope
	said "gels: 'nope': no such set or label; sets that were not looked at: 20"
}

@test "gels: a site that does not answer is named once, and makes 1" {
	three
	set_at x
	set_at y
	mv b away
	expect 1 gels -s sites
	[ "$(grep -c "site 'b'" "$err")" -eq 1 ]
	[ "$(tail -n 1 "$err")" = 'gels: sites that did not answer: b' ]
	listed '2/3 6/9 2 unknown 0 x' '2/3 6/9 2 unknown 0 y'
	expect 1 gels -qs sites
	said 'gels: sites that did not answer: b'
	# Gone for good.
	expect 0 gels -s sites -x b
	said
	listed '2/3 6/9 2 degraded 0 x' '2/3 6/9 2 degraded 0 y'
	expect 0 gels -s sites -x b -x a
	listed '2/3 3/9 1 lost 0 x' '2/3 3/9 1 lost 0 y'
	# What is whole is whole, and without a manifest nothing is known.
	cp -rn away/* a
	expect 1 gels -s sites
	listed '2/3 9/9 2 whole 0 x' '2/3 9/9 2 whole 0 y'
	rm ?/*/manifest
	expect 1 gels -s sites
	listed '2/3 9/- 2 unknown 0 -' '2/3 9/- 2 unknown 0 -'
}

@test "gels: silent sites are named as far as a line goes, and counted on" {
	for ((i = 10; i < 40; i++)); do
		echo "a-name-of-$i file://$PWD/none/$i operator=$i region=$i"
	done >sites
	expect 1 gels -qs sites
	said "gels: sites that did not answer: $(printf 'a-name-of-%d ' 10 11 12 \
	    13 14 15 16 17 18)and 21 more"
}

@test "gels: manifests are believed as the pins say" {
	three
	keys
	gefrag "${SMALL[@]}" -N signed -S sign.pem -d d <<<x
	cp -r d/* a
	id=$(ls d)
	expect 0 gels -s sites -V sign.pub
	listed '2/3 3/3 1 whole 0 signed'
	expect 5 gels -s sites -V other.pub
	told "gels: set $id: no manifest is signed by the key named"
	listed '2/3 3/- 1 unknown 0 -'
	# Malformed, of another set: as good as absent.
	sed -i s/length/lengths/ "a/$id/manifest"
	expect 0 gels -s sites
	listed '2/3 3/- 1 partial 0 -'
	told "site 'a': manifest: "
	gefrag "${SMALL[@]}" -d e <<<y
	cp e/*/manifest "a/$id"
	expect 0 gels -s sites
	listed '2/3 3/- 1 partial 0 -'
	told 'manifest of another set'
}

@test "gels: of refused manifests only those of the sets asked for count" {
	three
	keys
	id=$(set_at theirs)
	gefrag "${SMALL[@]}" -N mine -S sign.pem -d e <<<x
	cp -r e/* a
	cp -r e/* b
	expect 5 gels -s sites -V sign.pub
	expect 0 gels -s sites -V sign.pub mine
	said
	listed '2/3 3/3 2 whole 3 mine'
	expect 5 gels -s sites -V sign.pub theirs
	told "gels: set $id: no manifest is signed by the key named"
	listed '2/3 9/- 3 unknown 0 -'
	expect 4 gels -s sites -V sign.pub nobodys
	said "gels: 'nobodys': no such set or label"
}

@test "gels: a file that is no manifest is one for no program" {
	three
	id=$(set_at x)
	for p in gels 'germ -f' gepull; do
		: >none
		# shellcheck disable=SC2086	# the program and its option
		{
			expect 2 $p -s sites none
			said "${p% *}: 'none': it is empty, and no manifest"
			echo text >none
			expect 2 $p -s sites none
			said "${p% *}: 'none': not a manifest"
			expect 2 $p -s sites - <none
			said "${p% *}: standard input: not a manifest"
			echo 'gefrag-manifest x' >none
			expect 5 $p -s sites none
			said "${p% *}: 'none': malformed manifest, line 1"
		}
	done
	# A folder is none, and may have the name of a set.
	mkdir "$id"
	expect 0 gels -s sites "$id"
}

@test "gels: an older manifest than was seen is refused with 5, all is listed" {
	three
	keys
	gefrag "${SMALL[@]}" -N signed -S sign.pem -d d <<<x
	cp -r d/* a
	id=$(ls d)
	expect 0 gels -s sites -V sign.pub
	# As another session of the signer's: made anew, so another of the serial.
	sed '/^signature/d;s/^name .*/name other/' "d/$id/manifest" >m
	{
		printf 'gefrag/v1 manifest\0'
		cat m
	} >body
	openssl pkeyutl -sign -inkey sign.pem -rawin -in body -out sig
	{
		cat m
		echo "signature ed25519 $(openssl pkey -in sign.pem -pubout \
		    -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n'
		    ) $(od -An -v -tx1 sig | tr -d ' \n')"
	} >"a/$id/manifest"
	expect 5 gels -s sites -V sign.pub
	told 'gels: sets whose manifests are refused: 1'
	listed '2/3 3/- 1 unknown 0 -'
}

@test "gels: that nothing can be remembered is said once" {
	three
	set_at x
	set_at y
	expect 0 gels -s sites -O state=/dev/null/st
	[ "$(grep -c 'an older manifest will not be noticed: ' "$err")" -eq 1 ]
	[ "$(wc -l <"$out")" -eq 3 ]
}

@test "gels: more sets than are asked about at once" {
	three
	gefrag "${SMALL[@]}" -N many -d d <<<x
	for ((i = 0; i < 30; i++)); do
		gefrag "${SMALL[@]}" -N "set $i" -d a <<<x
	done
	expect 0 gels -s sites -j 1
	[ "$(sed 1d "$out" | cut -f 8 | uniq -c | tr -s ' ')" = ' 30 whole' ]
	cp "$out" one
	expect 0 gels -s sites -j 64
	cmp "$out" one
}

@test "gels: a push that was killed is partial, and germ removes what it left" {
	[ -z "$GE_SAN" ] || skip 'ptrace and sanitizers do not mix'
	three
	bytes 20000 >in
	gefrag "${SMALL[@]}" -N pushed in >stream
	expect 137 "$GE_BUILD/fault/sysfault" -n 5 -k -o hit -t linkat \
	    gepush -s sites stream
	expect 0 gels -s sites
	listed '2/3 4/- 3 partial 0 -' || listed '2/3 4/- 2 partial 0 -'
	expect 0 gepush -s sites stream
	expect 0 gels -s sites
	listed '2/3 9/9 3 whole 0 pushed'
	expect 137 "$GE_BUILD/fault/sysfault" -n 1 -k -o hit -t unlink,unlinkat \
	    germ -f -s sites pushed
	expect 0 germ -f -s sites pushed
	find a b c -mindepth 1 | diff /dev/null -
	expect 0 gepush -s sites stream
	expect 0 gels -s sites pushed
	listed '2/3 9/9 3 whole 0 pushed'
}

@test "gels: without memory it ends with 1" {
	three
	set_at x
	passed=0
	for ((i = 1; passed < 3; i++)); do
		status=0
		GE_FAILALLOC=$i gels -s sites x >"$out" 2>"$err" || status=$?
		if [ $status -eq 0 ]; then
			passed=$((passed + 1))
			listed '2/3 9/9 3 whole 0 x'
		else
			passed=0
			[ $status -eq 1 ]
			[ -s "$err" ]
		fi
	done
	[ $i -gt 20 ]
}

# on_servers KIND: a whole set, one with loss, an orphan, on nine of them.
on_servers() {
	local id i f
	nine "$1"
	bytes 20000 >in
	gefrag -b 4k -N 'on servers' -d d in
	id=$(ls d)
	for i in 1 2 3 4 5 6 7 8 9; do
		site_put "$i" "$id/manifest" "d/$id/manifest"
		site_put "$i" "$id/0000000000.0$((i - 1)).gef" \
		    "d/$id/0000000000.0$((i - 1)).gef"
	done
	expect 0 gels -s sites
	said
	listed '6/9 9/9 9 whole 0 on servers'
	site_rm 4 "$id/0000000000.03.gef"
	site_put 4 "$id/0000000000.03.gef.bad" in
	expect 0 gels -s sites
	listed '6/9 8/9 9 degraded 1 on servers'
	expect 0 gels -s sites -x site1 -x site2 -x site3
	listed '6/9 5/9 6 lost 1 on servers'
	site_kill 9
	expect 1 gels -s sites -O tries=1
	listed '6/9 7/9 8 unknown 1 on servers'
	site_begin 9
	for i in 1 2 3 4 5 6 7 8 9; do
		site_rm "$i" "$id/manifest"
	done
	expect 0 gels -s sites "${id:0:6}"
	listed '6/9 8/- 9 partial 1 -'
}

@test "gels: nine folders" {
	on_servers file
}

@test "gels: nine S3 servers" {
	on_servers s3
}

@test "gels: nine SFTP servers" {
	on_servers sftp
}

@test "gels: nine WebDAV servers" {
	on_servers davs
}

@test "gels: nine servers of all kinds" {
	on_servers mixed
}

# hostile KIND: a listing with names that would like to be paths.
hostile() {
	nine "$1"
	gefrag -k 2 -n 3 -N x -d d <<<x
	id=$(ls d)
	for i in 1 2 3; do
		site_put "$i" "$id/manifest" "d/$id/manifest"
		site_put "$i" "$id/0000000000.0$((i - 1)).gef" \
		    "d/$id/0000000000.0$((i - 1)).gef"
	done
	fault 2 '[{"method": "GET,PROPFIND", "hostile": true}]'
	# Nobody who lists what was not asked for has answered.
	expect 1 gels -vs sites
	listed '2/3 2/3 2 unknown 0 x'
	told "gels: site 'site2': "
	[ "$(tail -n 1 "$err")" = 'gels: sites that did not answer: site2' ]
	[ -z "$(tr -d '\n -~' <"$err")" ]
	[ ! -e /etc/cron.d/x ]
}

@test "gels: a hostile listing of S3" {
	hostile s3
}

@test "gels: a hostile listing of WebDAV" {
	hostile davs
}
