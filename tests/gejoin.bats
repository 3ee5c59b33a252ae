load helper

# set_of DIR [SIZE]: a small set of the file in.
set_of() {
	[ -e in ] || bytes "${2-20000}" >in
	gefrag "${SMALL[@]}" -d "$1" in
}

@test "gejoin: --help, --version and wrong options are answered" {
	answers gejoin
	expect 2 gejoin -k 3
	grep -qx 'gejoin: -k: no such option' "$err"
	expect 2 gejoin -R
	grep -qx 'gejoin: -R: its argument is missing' "$err"
}

@test "gejoin: a wrong pin or range is refused and named" {
	set_of d
	while IFS='|' read -r opt arg line; do
		expect 2 gejoin "$opt" "$arg" d
		said "gejoin: $line"
		[ ! -s "$out" ]
	done <<-'END'
	-O|set|set '': not 32 lower-case hex digits
	-O|set=00|set '00': not 32 lower-case hex digits
	-O|set=0123456789ABCDEF0123456789ABCDEF|set '0123456789ABCDEF0123456789ABCDEF': not 32 lower-case hex digits
	-O|digest|digest '': not 64 lower-case hex digits
	-O|digest=zz|digest 'zz': not 64 lower-case hex digits
	-O|payload=8m|-O 'payload=8m': no such option
	-R|5|-R '5': not off:len
	-R||-R '': not off:len
	-R|:|-R ':': not off:len
	-R|1:|-R '1:': not off:len
	-R|:1|-R ':1': not off:len
	-R|-1:5|-R '-1:5': not off:len
	-R|1:-5|-R '1:-5': not off:len
	-R|1:2:3|-R '1:2:3': not off:len
	-R|1x:2|-R '1x:2': not off:len
	-R|1:9223372036854775808|-R '1:9223372036854775808': not off:len
	-R|99999999999999999999:1|-R '99999999999999999999:1': not off:len
	-R|20001:0|the range ends beyond the 20000 bytes of the set
	-R|0:20001|the range ends beyond the 20000 bytes of the set
	-R|19999:2|the range ends beyond the 20000 bytes of the set
	-R|8191p:1|-R '8191p:1': not off:len
	-R|9223372036854775807:9223372036854775807|the range ends beyond the 20000 bytes of the set
	-m|nope|cannot open 'nope': No such file or directory
	-m|d|cannot open 'd': Is a directory
	END
}

# subsets SIZE N: all subsets of 0..N-1 of this size, a line each.
subsets() {
	local i=() j c
	for ((j = 0; j < $1; j++)); do
		i[j]=$j
	done
	while :; do
		echo "${i[@]}"
		for ((j = $1 - 1; j >= 0 && i[j] == $2 - $1 + j; j--)); do
			:
		done
		((j >= 0)) || return 0
		c=$((i[j] + 1))
		for (( ; j < $1; j++)); do
			i[j]=$((c++))
		done
	done
}

@test "gejoin: every k fragments give the data back, any fewer nothing" {
	words 30000 >in
	text=$(cat in; echo .)
	while read -r k n opts; do
		# shellcheck disable=SC2086	# words
		gefrag -q -k $k -n $n $opts -b 4k -O payload=4k -d d in
		s=$(echo d/*)
		while read -r -a i; do
			got=$(gejoin -q "${i[@]/#/$s/h}" && echo .)
			[ "$got" = "$text" ]
		done < <(
			for ((j = 0; j < n; j++)); do
				mkdir "$s/h$j"
				mv "$s"/*.0$j.gef "$s/h$j"
			done
			subsets $k $n)
		while read -r -a i; do
			[ ${#i[@]} -gt 0 ] || continue
			expect 4 gejoin -q "${i[@]/#/$s/h}"
			[ ! -s "$out" ]
		done < <(subsets $((k - 1)) $n)
		rm -r d
	done <<-END
	2 3
	1 4 -p
	3 5 -z
	4 7
	5 10 -p
	9 10
	8 8
	END
}

@test "gejoin: too few fragments are lost, and what is missing is named" {
	set_of d
	set=$(ls d)
	rm d/*/0000000001.0[02].gef
	expect 4 gejoin d
	said "gejoin: segment 1: 2 fragments are needed, 1 found (missing 0 2)"
	# Only whole segments before the loss.
	[ "$(wc -c <"$out")" -eq $SEGMENT ]
	cmp -n $SEGMENT "$out" in
	expect 4 gejoin -o f d
	said "gejoin: segment 1: 2 fragments are needed, 1 found (missing 0 2)"
	expect 4 bash -c '(cd d && tar cf - *) | gejoin'
	said "gejoin: segment 1: 2 fragments are needed, 1 found (missing 0 2)"
	cmp -n $SEGMENT "$out" in
	[ "$(wc -c <"$out")" -eq $SEGMENT ]
	rm d/*/0000000001.01.gef
	expect 4 gejoin d
	said "gejoin: segment 1: no fragments"
	rm d/*/*.0[02].gef
	expect 4 gejoin d
	said "gejoin: set $set: 2 fragments are needed, 1 found (missing 0 2)"
	rm -r d/*
	expect 4 gejoin d
	said "gejoin: no fragments found"
	expect 4 gejoin </dev/null
	said "gejoin: no fragments found"
	expect 4 gejoin in
	told "gejoin: 'in': neither a fragment nor an archive"
	[ "$(ls -A)" = "$(printf 'd\nin')" ]
}

@test "gejoin: one bad stripe in too many fragments is named" {
	bytes 20000 >in
	gefrag -k 2 -n 3 -b 4k -O payload=8k -d d in
	# The second stripe of segment 0.
	for i in 0 1; do
		f=$(echo d/*/0000000000.0$i.gef)
		flip "$f" $(($(wc -c <"$f") - 1))
	done
	expect 4 gejoin -o f d
	told "gejoin: segment 0: stripe 1 has 1 good blocks of the 2 needed"
	[ ! -e f ]
	expect 4 gejoin d
	[ ! -s "$out" ]
}

@test "gejoin: a stream cut anywhere gives a prefix of whole segments" {
	bytes 20000 >in
	gefrag "${SMALL[@]}" in >s
	size=$(wc -c <s)
	for ((at = 0; at <= size; at += 331)); do
		got=0
		head -c $at s | gejoin -q >"$out" 2>"$err" || got=$?
		len=$(wc -c <"$out")
		case $got:$len in
		0:20000 | 4:0 | 4:$SEGMENT | 4:$((2 * SEGMENT))) ;;
		*)	echo "cut at $at: status $got, $len bytes"
			cat "$err"
			return 1 ;;
		esac
		[ "$len" -eq 0 ] || cmp -n "$len" "$out" in
	done
	# The last fragment of all and the manifest are not needed.
	head -c $((size - 5000)) s | gejoin -q | cmp - in
}

@test "gejoin: a bit flipped in any byte of a fragment does no harm" {
	bytes 5000 >in
	gefrag "${SMALL[@]}" -d d in
	f=$(echo d/*/0000000000.01.gef)
	size=$(wc -c <"$f")
	for ((at = 0; at < size; at += at < 320 ? 9 : 229)); do
		flip "$f" $at
		expect 0 gejoin d
		cmp "$out" in
		flip "$f" $at
	done
	# A fragment that is needed.
	rm d/*/*.02.gef
	for at in 0 9 30 57 58 59 60 100 200 300 400 $((size - 1)); do
		flip "$f" $at
		got=0
		gejoin -q d >"$out" 2>"$err" || got=$?
		[ $got -eq 4 ] || [ $got -eq 5 ]
		[ ! -s "$out" ]
		flip "$f" $at
	done
	gejoin -q d | cmp - in
}

@test "gejoin: a byte flipped anywhere in a stream never gives a wrong one" {
	bytes 9000 >in
	gefrag "${SMALL[@]}" in >s
	size=$(wc -c <s)
	for ((at = 3; at < size; at += 307)); do
		flip s $at
		got=0
		gejoin -q <s >"$out" 2>"$err" || got=$?
		len=$(wc -c <"$out")
		case $got:$len in
		0:9000 | 4:0 | 4:$SEGMENT | 5:*) ;;
		*)	echo "flip at $at: status $got, $len bytes"
			return 1 ;;
		esac
		[ "$len" -eq 0 ] || cmp -n "$len" "$out" in
		flip s $at
	done
}

@test "gejoin: two sets are ambiguous until one is named" {
	keys
	bytes 20000 1 >one
	bytes 9000 2 >two
	gefrag "${SMALL[@]}" -S sign.pem -N one -d d one
	gefrag "${SMALL[@]}" -S other.pem -N two -d d two
	tar cf s -C d .
	for from in d s; do
		expect 5 gejoin -o f $from
		told "gejoin: more than one set is here: name one with -O set=ID"
		[ ! -e f ]
		for name in one two; do
			m=$(grep -l "^name $name$" d/*/manifest)
			id=$(awk '$1 == "set" { print $2 }' "$m")
			digest=$(awk '$1 == "digest" { print $2 }' "$m")
			gejoin -O set="$id" $from | cmp - $name
			gejoin -O digest="$digest" $from | cmp - $name
			gejoin -m "$m" $from | cmp - $name
		done
		gejoin -V sign.pub $from | cmp - one
		gejoin -V other.pub $from | cmp - two
	done
	# Not enough of the other set: no doubt.
	rm "$(dirname "$m")"/*.0[01].gef
	gejoin -q d | cmp - one
	id=$(printf %032d 0)
	expect 4 gejoin -O set="$id" d
	said "gejoin: set $id: no fragments found"
}

@test "gejoin: of contradicting fragments the majority counts, or the pin" {
	bytes 20000 1 >one
	bytes 20000 2 >two
	# The same set id, other content.
	fixed s gefrag -k 3 -n 6 -b 4k -q -d a one
	fixed s gefrag -k 3 -n 6 -b 4k -q -d b two
	rm a/*/*.0[01].gef b/*/*.0[45].gef
	expect 5 gejoin -o f a b
	said "gejoin: segment 0: the fragments contradict each other, and none has a majority: pin a manifest, digest or signer"
	for s in a b; do
		cp $s/*/manifest $s.manifest
	done
	gejoin -q -m a.manifest a b | cmp - one
	gejoin -q -m b.manifest a b | cmp - two
	rm b/*/*.00.gef
	gejoin -q a b | cmp - one
	gejoin -q -m b.manifest a b | cmp - two
	expect 5 gejoin -O digest="$(awk '/^digest/ { print $2 }' b/*/manifest)" \
	    a/*/*.gef b/*/*.gef
	said "gejoin: the set has another digest than the one named"
	[ ! -s "$out" ]
	rm b/*/*.01.gef
	expect 5 gejoin -m b.manifest a b
	said "gejoin: segment 0: the fragments are not those of the manifest"
	expect 5 gejoin -m b.manifest a
	[ ! -e f ]
}

@test "gejoin: an index that is there twice counts once, a good one wins" {
	set_of d
	mkdir e
	cp d/*/*.00.gef e
	for f in e/*; do
		flip "$f" 1000
	done
	# Damaged twin, good twin, one more.
	gejoin -q e d/*/*.00.gef d/*/*.02.gef | cmp - in
	gejoin -q d/*/*.00.gef e d/*/*.02.gef | cmp - in
	expect 4 gejoin d/*/*.00.gef e
	told "2 fragments are needed, 1 found (missing 1 2)"
}

@test "gejoin: names and places mean nothing" {
	set_of d
	mkdir -p e/deep/er e/deep/est
	i=0
	for f in d/*/*.gef; do
		mv "$f" "e/deep/$([ $((i % 2)) -eq 0 ] && echo er || echo est)/$((i++)).tmp"
	done
	gejoin e | cmp - in
	# Each under the name of another.
	mv e/deep/er/0.tmp x
	mv e/deep/er/2.tmp e/deep/er/0.tmp
	mv x e/deep/er/2.tmp
	gejoin e | cmp - in
	cd e/deep
	gejoin er est ../deep | cmp - ../../in
}

@test "gejoin: rubbish, links, pipes and loops in a folder are passed over" {
	set_of d
	s=$(echo d/*)
	bytes 5000 >"$s/rubbish"
	printf 'GEFRAG1\n' >"$s/magic"
	printf 'GEFRAG1\nshort' >"$s/0000000000.00.gef.part"
	: >"$s/empty"
	echo gefrag-manifest 1 >"$s/forged"
	ln -s nowhere "$s/dangling"
	ln -s . "$s/self"
	ln -s /dev/zero "$s/endless"
	mkfifo "$s/pipe"
	mkdir "$s/none"
	mv "$s/0000000000.00.gef" there
	ln -s "$PWD/there" "$s/0000000000.00.gef"
	cp in "$s/in"
	tar cf "$s/archive.tar" in
	expect 0 timeout 60 gejoin d
	cmp "$out" in
	grep -q "^gejoin: 'd/[0-9a-f]*/magic': not a fragment: " "$err"
	[ "$(wc -l <"$err")" -eq 2 ]
	# A deep folder is not walked for ever.
	p=d
	for i in {1..40}; do
		p=$p/x
	done
	mkdir -p $p
	expect 0 gejoin d
	told ": too deep, not looked into"
	cmp "$out" in
}

@test "gejoin: what cannot be read is named, and passed over if it can be" {
	set_of d
	ln -s loop d/loop
	expect 0 gejoin d
	cmp "$out" in
	said "gejoin: 'd/loop': Too many levels of symbolic links"
	expect 0 gejoin nope d
	cmp "$out" in
	said "gejoin: 'nope': No such file or directory" \
	    "gejoin: 'd/loop': Too many levels of symbolic links"
	expect 2 gejoin nope
	told "gejoin: 'nope': No such file or directory"
	[ ! -s "$out" ]
	expect 2 gejoin nope nor
	expect 1 gejoin <d
	told "gejoin: 'standard input': cannot read: Is a directory"
}

@test "gejoin: loss is told unless -q, and how much" {
	set_of d
	expect 0 gejoin d
	said
	rm d/*/*.00.gef
	expect 0 gejoin d
	said "gejoin: fragments missing: 3 of 9"
	expect 0 gejoin -q d
	said
	expect 0 bash -c 'tar cf - -C d . | gejoin'
	said "gejoin: fragments missing: 3 of 9"
	set_of e
	flip e/*/0000000001.00.gef 4000
	expect 0 gejoin e
	said "gejoin: damaged blocks passed over: 1"
	expect 0 gejoin -v e
	said "gejoin: segment 1, fragment 0: block 0 is damaged" \
	    "gejoin: damaged blocks passed over: 1" "gejoin: 19.5 KiB out"
	expect 0 gejoin -vv e
	cmp "$out" in
}

@test "gejoin: a recipient's set wants an identity, the right one" {
	keys
	bytes 20000 >in
	gefrag "${SMALL[@]}" -r anna.pub -r boris.pub -d d in
	gejoin -i anna.pem d | cmp - in
	gejoin -i boris.pem d | cmp - in
	openssl genpkey -algorithm X25519 -out eve.pem
	gejoin -i eve.pem -i boris.pem d | cmp - in
	expect 5 gejoin d
	said "gejoin: the set wants a recipient's identity (-i)"
	[ ! -s "$out" ]
	expect 5 gejoin -i eve.pem -o f d
	said "gejoin: the identity is not one of the set's recipients"
	[ ! -e f ]
	expect 5 bash -c 'tar cf - -C d . | gejoin -i eve.pem'
	[ ! -s "$out" ]
	echo x >pass
	expect 5 gejoin -P pass d
	said "gejoin: the set wants a recipient's identity (-i)"
	for i in {1..16}; do
		many+=(-i eve.pem)
	done
	expect 2 gejoin "${many[@]}" -i anna.pem d
	said "gejoin: -i 'anna.pem': more than 16 identities"
	# An identity that is not needed does no harm.
	gefrag -d e in
	gejoin -i eve.pem e | cmp - in
}

@test "gejoin: a passphrase, with and without the line feed" {
	bytes 9000 >in
	printf 'correct horse' >pass
	printf 'correct horse\n' >line
	printf 'correct horse\n\n' >lines
	gefrag "${SMALL[@]}" -P line -d d in
	gejoin -P pass d | cmp - in
	gejoin -P line d | cmp - in
	expect 5 gejoin -P lines d
	said "gejoin: wrong passphrase"
	[ ! -s "$out" ]
	expect 5 gejoin -o f d
	said "gejoin: the set wants a passphrase (-P)"
	[ ! -e f ]
	# It is in nobody's command line or message.
	fails grep -q horse "$err"
}

@test "gejoin: a key that cannot be used is refused and named" {
	keys
	set_of d
	openssl pkey -in anna.pem -aes256 -passout pass:tiger -out locked.pem
	echo junk >junk.pem
	: >empty
	while IFS='|' read -r opt file line; do
		expect 2 gejoin "$opt" "$file" d
		said "gejoin: $line"
		[ ! -s "$out" ]
	done <<-'END'
	-i|nope.pem|cannot open 'nope.pem': No such file or directory
	-i|.|cannot open '.': Is a directory
	-i|junk.pem|'junk.pem' is not a PEM key
	-i|anna.pub|'anna.pub' is not an X25519 private key
	-i|sign.pem|'sign.pem' is not an X25519 private key
	-i|locked.pem|'locked.pem' is an encrypted private key: decrypt it with openssl pkey
	-V|nope.pub|cannot open 'nope.pub': No such file or directory
	-V|sign.pem|'sign.pem' is not an Ed25519 public key
	-V|anna.pub|'anna.pub' is not an Ed25519 public key
	-P|nope|cannot open 'nope': No such file or directory
	-P|empty|'empty': empty passphrase
	END
}

@test "gejoin: with a signer pinned only his set is read" {
	keys
	bytes 20000 >in
	gefrag "${SMALL[@]}" -S sign.pem -d d in
	gefrag "${SMALL[@]}" -d e in
	gejoin -V sign.pub d | cmp - in
	tar cf - -C d . | gejoin -V sign.pub | cmp - in
	expect 5 gejoin -V other.pub d
	said "gejoin: no manifest is signed by the key named"
	[ ! -s "$out" ]
	expect 5 gejoin -V sign.pub -o f e
	said "gejoin: no manifest is signed by the key named"
	expect 5 bash -c 'tar cf - -C e . | gejoin -V sign.pub'
	[ ! -s "$out" ]
	# The manifest may come from elsewhere.
	mv d/*/manifest m
	expect 5 gejoin -V sign.pub d
	gejoin -V sign.pub -m m d | cmp - in
	# A byte changed in it: the signature is not good.
	sed 's/^created 2/created 3/' m >forged
	expect 5 gejoin -V sign.pub -m forged d
	told "gejoin: 'forged': "
	[ ! -s "$out" ]
	[ ! -e f ]
}

@test "gejoin: pins that contradict the set or each other are refused" {
	keys
	bytes 20000 1 >one
	bytes 20000 2 >two
	gefrag "${SMALL[@]}" -S sign.pem -d d one
	gefrag "${SMALL[@]}" -S sign.pem -d e two
	id=$(ls d)
	digest=$(awk '/^digest/ { print $2 }' d/*/manifest)
	no=$(printf %064d 0)
	gejoin -O set="$id" -O digest="$digest" -V sign.pub -m d/*/manifest d |
	    cmp - one
	expect 5 gejoin -O digest="$no" d
	said "gejoin: the set has another digest than the one named"
	[ ! -s "$out" ]
	expect 5 bash -c "tar cf - -C d . | gejoin -O digest=$no"
	[ ! -s "$out" ]
	expect 5 gejoin -O set="$id" -m e/*/manifest d e
	said "gejoin: the manifest is of another set than the one named"
	expect 5 gejoin -O digest="$digest" -m e/*/manifest d e
	said "gejoin: the manifest has another digest than the one named"
	expect 5 gejoin -O set="$(ls e)" -O digest="$digest" d e
	said "gejoin: the set has another digest than the one named"
	expect 5 gejoin -V sign.pub d e
	said "gejoin: there are manifests of more than one set: name one with -O set=ID"
	gejoin -V sign.pub -O set="$id" d e | cmp - one
	expect 4 gejoin -m e/*/manifest d
	said "gejoin: set $(ls e): no fragments found"
	expect 5 gejoin -m one d
	told "gejoin: 'one': "
	[ ! -s "$out" ]
}

@test "gejoin: an existing file is refused untouched, -f replaces it" {
	set_of d
	echo mine >f
	expect 2 gejoin -o f d
	said "gejoin: 'f' exists (-f overwrites it)"
	[ "$(cat f)" = mine ]
	expect 0 gejoin -f -o f d
	said
	cmp f in
	ln -s nowhere l
	expect 2 gejoin -o l d
	said "gejoin: 'l' exists (-f overwrites it)"
	rm l
	rm d/*/*.0[01].gef
	echo mine >f
	expect 4 gejoin -f -o f d
	[ "$(cat f)" = mine ]
	[ "$(ls -A)" = "$(printf 'd\nf\nin')" ]
}

@test "gejoin: a file appears complete or not at all" {
	set_of d
	expect 1 gejoin -o no/such d
	said "gejoin: cannot create 'no/such': No such file or directory"
	expect 1 bash -c 'ulimit -f 10; gejoin -o f d'
	told "cannot write: File too large"
	expect 0 gejoin -o /dev/null d
	expect 1 gejoin -o /dev/full d
	said "gejoin: output: cannot write: No space left on device"
	[ -c /dev/null ]
	gejoin -o /dev/stdout d | cmp - in
	[ "$(ls -A)" = "$(printf 'd\nin')" ]
	gejoin -o f d
	[ "$(stat -c %a f)" = 644 ]
}

@test "gejoin: closed and full descriptors are errors, not lost data" {
	set_of d
	tar cf s -C d .
	expect 1 bash -c 'gejoin d >/dev/full'
	said "gejoin: output: cannot write: No space left on device"
	expect 1 bash -c 'gejoin d >&-'
	said "gejoin: output: cannot write: Bad file descriptor"
	expect 1 bash -c 'gejoin <&-'
	said "gejoin: 'standard input': cannot read: Bad file descriptor"
	expect 0 bash -c 'gejoin d <&- 2>&-'
	cmp "$out" in
	expect 0 bash -c 'gejoin -o f s <&- >&- 2>&-'
	cmp f in
}

@test "gejoin: a reader that goes away ends it with a word" {
	bytes 3000000 >in
	gefrag "${SMALL[@]}" -O payload=64k in >s
	gejoin <s 2>"$err" | head -c 1 >"$out" && status=("${PIPESTATUS[@]}")
	[ "${status[*]}" = '1 0' ]
	said "gejoin: output: cannot write: Broken pipe"
}

@test "gejoin: no stream is read from a terminal" {
	expect 2 on_terminal 'gejoin 2>err'
	[ "$(cat err)" = "gejoin: standard input is a terminal: name files or folders" ]
	set_of d
	expect 0 on_terminal 'gejoin d >f'
	cmp f in
}

# cpio FILE ...: an archive of them in the "newc" format.
cpio() {
	local f n
	for f in "$@" 'TRAILER!!!'; do
		n=0
		[ ! -e "$f" ] || n=$(wc -c <"$f")
		printf 070701
		printf %08X 1 33188 0 0 1 0 "$n" 0 0 0 0 $((${#f} + 1)) 0
		printf '%s\0' "$f"
		head -c $(((4 - (110 + ${#f} + 1) % 4) % 4)) /dev/zero
		[ "$n" -gt 0 ] || continue
		cat "$f"
		head -c $(((4 - n % 4) % 4)) /dev/zero
	done
}

@test "gejoin: the same bytes whatever order and format the stream has" {
	set_of d 50000
	cd d
	tar cf ../forward.tar -- */*.gef
	# shellcheck disable=SC2046	# names without blanks
	tar cf ../backward.tar $(ls -r -- */*.gef)
	# Host by host, the last first.
	tar cf ../hosts.tar -- */*.02.gef */*.01.gef */*.00.gef */manifest
	tar --format=pax -cf ../pax.tar -- */*.gef
	tar --format=v7 -cf ../v7.tar -- */*.gef
	tar --format=oldgnu -cf ../gnu.tar .
	cpio */*.gef >../x.cpio
	cd ..
	gzip <forward.tar >x.tar.gz
	bzip2 <backward.tar >x.tar.bz2
	xz <hosts.tar >x.tar.xz
	# Two archives, one after another, are two operands.
	tar cf one.tar -C d --wildcards --exclude='*.0[12].gef' .
	tar cf two.tar -C d --exclude='*.00.gef' .
	for s in forward.tar backward.tar hosts.tar pax.tar v7.tar gnu.tar \
	    x.cpio x.tar.gz x.tar.bz2 x.tar.xz; do
		for j in 1 3; do
			expect 0 gejoin -j $j <$s
			said
			cmp "$out" in
			expect 0 gejoin -j $j $s
			cmp "$out" in
		done
	done
	gejoin one.tar two.tar | cmp - in
	gejoin two.tar - <one.tar | cmp - in
	gejoin <(cat backward.tar) | cmp - in
	rm d/*/*.02.gef
	gejoin -q one.tar d | cmp - in
	gejoin -q d - <two.tar | cmp - in
	# Nothing is left of the spool.
	[ -z "$(ls -A "$TMPDIR")" ]
}

@test "gejoin: TMPDIR is for a stream that is out of order" {
	set_of d
	cd d
	tar cf ../forward.tar -- */*.gef
	# shellcheck disable=SC2046	# names without blanks
	tar cf ../backward.tar $(ls -r -- */*.gef)
	cd ..
	export TMPDIR=nowhere
	expect 1 gejoin <backward.tar
	said "gejoin: cannot make a temporary file in 'nowhere': No such file or directory"
	[ ! -s "$out" ]
	expect 0 gejoin <forward.tar
	cmp "$out" in
	mkdir nowhere
	expect 0 gejoin <backward.tar
	cmp "$out" in
	[ -z "$(ls -A nowhere)" ]
	# What is spooled is too much: said, and status 1.
	expect 1 bash -c 'ulimit -f 8; gejoin <backward.tar'
	said "gejoin: temporary file: cannot write: File too large"
	[ -z "$(ls -A nowhere)" ]
}

@test "gejoin: -R gives just these bytes" {
	words 50000 >in
	gefrag "${SMALL[@]}" -d d in
	gefrag "${SMALL[@]}" -z -d z in
	gefrag -p "${SMALL[@]}" -O payload=16k -d p in
	tar cf s -C d .
	while read -r off len; do
		tail -c +$((off + 1)) in | head -c $len >want
		for from in d z p s; do
			expect 0 gejoin -R $off:$len $from
			said
			cmp "$out" want
		done
	done <<-END
	0 0
	0 1
	0 50000
	49999 1
	50000 0
	25000 0
	$((SEGMENT - 1)) 1
	$((SEGMENT - 1)) 2
	$SEGMENT 1
	$SEGMENT $SEGMENT
	$((SEGMENT - 3)) $((2 * SEGMENT + 6))
	8192 8192
	4095 2
	12345 23456
	40960 9040
	END
	gejoin -R 1k:2K d | cmp - <(tail -c +1025 in | head -c 2048)
	expect 2 gejoin -R 50000:1 s
	told "the range ends beyond the 50000 bytes of the set"
	expect 0 gejoin -R 7:9 -o f d
	[ "$(wc -c <f)" -eq 9 ]
	expect 2 gejoin -R 7:90000 -o g d
	[ ! -e g ]
	gefrag -d e </dev/null
	expect 0 gejoin -R 0:0 e
	expect 2 gejoin -R 0:1 e
}

@test "gejoin: -R reads no more than it needs" {
	bytes 60000 >in
	gefrag -k 2 -n 3 -b 4k -O payload=16k -d d in	# 4 stripes of 8176
	# Segment 0: stripe 1 is lost.  Segment 1: all of it.
	for i in 0 1; do
		f=$(echo d/*/0000000000.0$i.gef)
		flip "$f" $((608 + 4096 + 5))
		f=$(echo d/*/0000000001.0$i.gef)
		for s in 0 1 2 3; do
			flip "$f" $((608 + s * 4096 + 5))
		done
	done
	expect 4 gejoin d
	gejoin -q -R 0:8176 d | cmp -n 8176 - in
	gejoin -q -R 16352:16352 d | cmp - <(tail -c +16353 in | head -c 16352)
	expect 4 gejoin -R 8175:2 d
	expect 4 gejoin -R 0:50000 d
	expect 4 gejoin -R 40000:1 d
}

@test "gejoin: -R needs only the segments of its range" {
	set_of d
	# Segment 1 of three is gone.
	rm d/*/0000000001.*
	tar cf s -C d .
	for from in d s '- <s'; do
		for range in 0:8176 100:1 16352:3648 16352:1; do
			expect 0 bash -c "gejoin -q -R $range $from"
			cmp "$out" <(tail -c +$((${range%:*} + 1)) in |
			    head -c "${range#*:}")
		done
		for range in 8175:2 8176:1 16351:2 0:20000; do
			expect 4 bash -c "gejoin -q -R $range $from"
		done
	done
	expect 4 gejoin -q d
	cmp "$out" <(head -c 8176 in)
}

@test "gejoin: what a repair has set aside is read if it is named" {
	set_of d
	s=$(echo d/*)
	for i in 0 1 2; do
		mv "$s"/000000000$i.00.gef "$s"/000000000$i.00.gef.bad
		mv "$s"/000000000$i.01.gef "$s"/000000000$i.01.gef.bad17
		mv "$s"/000000000$i.02.gef "$s"/.000000000$i.02.gef.1-2.tmp
	done
	expect 4 gejoin d
	said 'gejoin: no fragments found'
	gejoin -q "$s"/*.bad "$s"/*.bad17 | cmp - in
	gejoin -q d "$s"/*.bad "$s"/.*.tmp | cmp - in
	# Those that only look like it, too.
	for i in 0 1 2; do
		mv "$s"/000000000$i.00.gef.bad "$s"/$i.badly
		mv "$s"/000000000$i.01.gef.bad17 "$s"/$i.gef.bad.kept
		mv "$s"/.000000000$i.02.gef.1-2.tmp "$s"/$i.tmp
	done
	expect 0 gejoin d
	said
	cmp "$out" in
}

@test "gejoin: hundreds of copies of a fragment need no descriptors" {
	set_of d
	rm d/*/*.02.gef
	for i in {1..100}; do
		ln d/*/0000000000.00.gef d/copy$i
		ln d/*/0000000002.01.gef d/other$i
	done
	for j in 1 3; do
		expect 0 bash -c "ulimit -n 30; gejoin -q -j $j d"
		said
		cmp "$out" in
	done
	expect 3 bash -c 'ulimit -n 30; geverify -q d'
	[ "$(grep -c ^missing "$out")" -eq 3 ]
	expect 0 bash -c 'ulimit -n 30; gerepair -q d </dev/null'
	expect 0 geverify -q d
}

@test "gejoin: a signal ends it while its reader stalls" {
	bytes 3000000 >in
	gefrag -k 2 -n 3 -O payload=256k -d d in
	for j in 1 3; do
		heeds gejoin -j $j d
	done
}

@test "gejoin: nothing is made of the names in a stream" {
	set_of d
	mv d/* e
	mkdir bad
	i=0
	for f in e/*; do
		case $((i++ % 5)) in
		0)	n=$'new\nline' ;;
		1)	n=$'\xff\xfe not UTF-8' ;;
		2)	n='-rf' ;;
		3)	n='%s%n' ;;
		4)	n=$'\e[2J' ;;
		esac
		mv "$f" "bad/$n$i"
	done
	# As a folder, as they are, with .. and with a root.
	tree . >"$BATS_TEST_TMPDIR/before"
	expect 0 gejoin bad
	cmp "$out" in
	tar cf ../s1 -C bad .
	tar cf ../s2 -P --transform 's,^\./,../../../,' -C bad .
	tar cf ../s3 -P --transform "s,^\\./,$PWD/planted/," -C bad .
	tar cf ../s4 -P --transform 's,.*,same,' -C bad .
	for s in ../s?; do
		expect 0 gejoin $s
		said
		cmp "$out" in
		expect 0 gejoin <$s
		cmp "$out" in
	done
	tree . | diff "$BATS_TEST_TMPDIR/before" -
	# A message stays one line.
	flip "bad/$(ls bad | tail -n 1)" 10
	for f in bad/*; do
		printf 'GEFRAG1\n' >"$f"
	done
	expect 4 gejoin bad
	[ "$(wc -l <"$err")" -eq $((i + 1)) ]
	fails grep -q $'\e' "$err"
}

@test "gejoin: the same bytes whatever -j and whatever kernels" {
	{ words 700000; bytes 300000; } >in
	gefrag -k 3 -n 5 -b 4k -O payload=32k -z -d d in
	rm d/*/*.0[02].gef
	for j in 1 2 5 64; do
		gejoin -q -j $j d | cmp - in
	done
	GE_CPU=portable gejoin -q d | cmp - in
}

@test "gejoin: SIGTERM leaves no file, and it dies of it" {
	bytes 900000 >in
	gefrag "${SMALL[@]}" -o s in
	mkfifo p
	for j in 1 3; do
		gejoin -j $j -o f <p 3>&- &
		pid=$!
		exec 9>p
		# More than a pipe holds: once it is gone the program is at work.
		head -c 1300000 s >&9
		kill -TERM $pid
		status=0
		wait $pid || status=$?
		exec 9>&-
		[ $status -eq 143 ]
		[ "$(ls -A)" = "$(printf 'in\np\ns')" ]
		[ -z "$(ls -A "$TMPDIR")" ]
	done
}

@test "gejoin: -j 1 starts no thread, -j 3 does" {
	bytes 900000 >in
	gefrag "${SMALL[@]}" -o s in
	mkfifo p
	for j in 1 3; do
		gejoin -j $j -o f$j <p 3>&- &
		pid=$!
		exec 9>p
		# More than a pipe holds: once it is gone the program is at work.
		head -c 1300000 s >&9
		threads=(/proc/$pid/task/*)
		tail -c +1300001 s >&9
		exec 9>&-
		wait $pid
		cmp f$j in
		case $j in
		1)	[ ${#threads[@]} -eq 1 ] ;;
		3)	[ ${#threads[@]} -gt 1 ] ;;
		esac
	done
}

@test "gejoin: SIGUSR1 asks for a line of progress" {
	bytes 900000 >in
	gefrag "${SMALL[@]}" -o s in
	size=$(wc -c <s)
	mkfifo p
	gejoin -o f <p 2>"$err" 3>&- &
	pid=$!
	exec 9>p
	head -c 1300000 s >&9
	kill -USR1 $pid
	until_true test -s "$err"
	tail -c +1300001 s >&9
	exec 9>&-
	wait $pid
	grep -qE '^gejoin: [0-9.]+ [KMi]*B, [0-9.]+ [KMG]?i?B/s, [0-9]+ s$' "$err"
	cmp f in
}
