load helper

@test "gefrag: --help, --version and wrong options are answered" {
	answers gefrag
	for args in '-Z' '-k' '--' '-b'; do
		[ "$args" = -- ] && args='a b'
		# shellcheck disable=SC2086	# words
		expect 2 gefrag $args
		grep -q '^usage: gefrag' "$err"
	done
}

@test "gefrag: a number out of its range is refused and named" {
	while IFS='|' read -r opt arg line; do
		expect 2 gefrag "$opt" "$arg" </dev/null
		said "gefrag: $line"
		[ ! -s "$out" ]
	done <<-'END'
	-k|0|-k '0': not a number from 1 to 64
	-k|65|-k '65': not a number from 1 to 64
	-k|-1|-k '-1': not a number from 1 to 64
	-k|06|-k '06': not a number from 1 to 64
	-k|4294967297|-k '4294967297': not a number from 1 to 64
	-k|10|-k 10 is more than -n 9
	-k|1|-k 1 keeps no secret: only with -p
	-n|0|-n '0': not a number from 1 to 64
	-n|65|-n '65': not a number from 1 to 64
	-n|5|-k 6 is more than -n 5
	-n||-n '': not a number from 1 to 64
	-b|9x|-b '9x': not a size (digits and k, m, g or t)
	-b|-1|-b '-1': not a size (digits and k, m, g or t)
	-b||-b '': not a size (digits and k, m, g or t)
	-b|k|-b 'k': not a size (digits and k, m, g or t)
	-b|4kk|-b '4kk': not a size (digits and k, m, g or t)
	-b|4 k|-b '4 k': not a size (digits and k, m, g or t)
	-b|0x1000|-b '0x1000': not a size (digits and k, m, g or t)
	-b|18446744073709551616|-b '18446744073709551616': not a size (digits and k, m, g or t)
	-b|99999999t|-b '99999999t': not a size (digits and k, m, g or t)
	-b|4294967296|-b '4294967296': not from 4.0 KiB to 4.0 MiB
	-b|0|-b '0': not from 4.0 KiB to 4.0 MiB
	-b|4095|-b '4095': not from 4.0 KiB to 4.0 MiB
	-b|8m|-b '8m': not from 4.0 KiB to 4.0 MiB
	-b|5000|-b '5000': not a power of two
	-O|payload|payload '': not a size (digits and k, m, g or t)
	-O|payload=|payload '': not a size (digits and k, m, g or t)
	-O|payload=9x|payload '9x': not a size (digits and k, m, g or t)
	-O|payload=-1|payload '-1': not a size (digits and k, m, g or t)
	-O|payload=1|payload '1': not from 4.0 KiB to 1.0 GiB
	-O|payload=2g|payload '2g': not from 4.0 KiB to 1.0 GiB
	-O|payloads=8m|-O 'payloads=8m': no such option
	-O|set=00|-O 'set=00': no such option
	END
}

@test "gefrag: options that exclude each other are refused" {
	keys
	echo x >pass
	expect 2 gefrag -p -P pass
	said "gefrag: -p keeps nothing secret: not with -P or -r"
	expect 2 gefrag -r anna.pub -p
	said "gefrag: -p keeps nothing secret: not with -P or -r"
	expect 2 gefrag -P pass -r anna.pub
	said "gefrag: -P and -r exclude each other"
	expect 2 gefrag -d d -o f
	said "gefrag: -d and -o exclude each other"
	fails ls -d d f
}

@test "gefrag: empty, a segment, a byte less, a byte more, several" {
	for size in 0 1 $((SEGMENT - 1)) $SEGMENT $((SEGMENT + 1)) \
	    $((3 * SEGMENT)) $((5 * SEGMENT + 77)); do
		bytes $size >in
		for j in 1 3; do
			rm -rf d
			expect 0 gefrag "${SMALL[@]}" -j $j -d d in
			said
			segs=$(((size + SEGMENT - 1) / SEGMENT))
			[ $segs -gt 0 ] || segs=1
			[ "$(ls d/* | grep -c gef)" -eq $((3 * segs)) ]
			grep -qx "length $size" d/*/manifest
			grep -qx "segments $segs" d/*/manifest
			gejoin -q -j $j d | cmp - in
			rm d/*/*.01.gef
			gejoin -q d | cmp - in
			gefrag "${SMALL[@]}" -j $j <in | gejoin | cmp - in
		done
	done
}

@test "gefrag: six of nine and blocks of 256k are the defaults" {
	bytes 5000000 >in
	gefrag -d d in
	grep -qx 'code 1 6 9 262144 1' d/*/manifest
	grep -qx 'mode encrypted' d/*/manifest
	[ "$(ls d/* | grep -c 'gef$')" -eq 9 ]
	rm d/*/*.0[068].gef
	gejoin -q d | cmp - in
	# 48 MiB less a tag each stripe of 1.5 MiB.
	head -c 50331649 /dev/zero | gefrag -d e
	grep -q '^segment 0 50331136 ' e/*/manifest
	grep -q '^segment 1 513 ' e/*/manifest
}

@test "gefrag: any code: 1 of 4 plain, 6 of 12, 10 of 15, 2 and 64 of 64" {
	bytes 300000 >in
	while read -r k n opts; do
		# shellcheck disable=SC2086	# words
		gefrag -q -k $k -n $n $opts -b 4k -O payload=8k -d d in
		[ "$(ls d/*/0000000000.*.gef | wc -l)" -eq $n ]
		geverify -q d >/dev/null
		# Without the first n-k of each segment.
		for ((i = 0; i < n - k; i++)); do
			rm "$(printf '%s' d/*)"/*."$(printf %02d $i)".gef
		done
		gejoin -q d | cmp - in
		rm -r d
	done <<-END
	1 4 -p
	1 1 -p
	2 2
	6 12
	10 15
	2 64
	64 64
	33 64 -z
	END
}

@test "gefrag: the payload is whole blocks, at least one, at most 1024" {
	bytes 9000000 >in
	# SIZE of a fragment's payload, from -b and -O payload.
	while read -r b payload ulen; do
		gefrag -p -k 2 -n 2 -b "$b" -O "payload=$payload" -d d in
		awk -v want="$ulen" '$1 == "segment" && $2 == 0 && $3 != want {
			print "segment of", $3, "not", want; exit 1 }' d/*/manifest
		rm -r d
	done <<-END
	4k 4k 8192
	4096 12287 16384
	4k 1g 8388608
	64k 4k 131072
	4M 4k 8388608
	4k 0000008K 16384
	END
}

@test "gefrag: a label stands in the manifest, escaped, and nowhere else" {
	bytes 100 >in
	gefrag -N 'räp 100%' -d d in
	grep -qx 'name r%C3%A4p 100%25' d/*/manifest
	fails grep -q 'r.*p 100' d/*/*.gef
	expect 0 gefrag -N "$(printf 'x%.0s' {1..4096})" -d e in
	expect 2 gefrag -N "$(printf 'x%.0s' {1..4097})" -d f in
	said "gefrag: -N: label too long"
	expect 2 gefrag -N '' -d f in
	said "gefrag: -N: empty label"
	expect 2 gefrag -N $'a\xffb' -d f in
	said "gefrag: -N: label is not UTF-8"
	[ ! -e f ]
	gefrag -d g in
	fails grep -q '^name' g/*/manifest
	# Never a path.
	gefrag -N ../../evil -d h in
	[ "$(find .. -name '*evil*' | wc -l)" -eq 0 ]
}

@test "gefrag: -z makes what can be smaller smaller, and only that" {
	words 300000 >text
	bytes 300000 >noise
	cat text noise text >both
	for f in text noise both; do
		for j in 1 3; do
			gefrag -k 3 -n 5 -b 4k -O payload=16k -z -j $j $f >z
			gefrag -k 3 -n 5 -b 4k -O payload=16k -j $j $f >plain
			gejoin <z | cmp - $f
			gejoin <plain | cmp - $f
			case $f in
			text)	[ $(($(wc -c <z) * 2)) -lt "$(wc -c <plain)" ] ;;
			noise)	[ "$(wc -c <z)" -eq "$(wc -c <plain)" ] ;;
			both)	[ "$(wc -c <z)" -lt "$(wc -c <plain)" ] ;;
			esac
		done
	done
	gefrag -z </dev/null | gejoin | cmp - /dev/null
}

@test "gefrag: -z: a part that cannot be smaller does not spoil the rest" {
	for part in words bytes words; do
		$part 1048576
	done >in
	for j in 1 3; do
		gefrag -k 2 -n 3 -z -j $j in >z
		gejoin <z | cmp - in
		# A third of 3 MiB, times 1.5, and some text.
		[ "$(wc -c <z)" -lt 2400000 ]
	done
}

@test "gefrag: only -p leaves the input to be read in a fragment" {
	words 60000 >in
	gefrag -p -d d in
	grep -q 'line 000000007 of a text' d/*/0000000000.00.gef
	gefrag -d e in
	fails grep -q 'line 000000007 of a text' e/*/*
	grep -qx 'mode plain' d/*/manifest
}

@test "gefrag: every set is another, and no variable makes it random no more" {
	bytes 100 >in
	export GE_TEST_SEED=x
	gefrag -d d in
	gefrag -d d in
	[ "$(ls d | wc -l)" -eq 2 ]
}

@test "gefrag: warns if k is not more than half of n, but not with -q" {
	expect 0 gefrag -k 2 -n 4 -d d </dev/null
	said "gefrag: k is not more than half of n: without a manifest, digest or signer to go by, forged fragments can make this set unreadable"
	expect 0 gefrag -q -k 2 -n 4 -d d </dev/null
	said
	expect 0 gefrag -k 2 -n 3 -d d </dev/null
	said
}

@test "gefrag: -v prints set, digest and sizes, else it is silent" {
	bytes 20000 >in
	expect 0 gefrag "${SMALL[@]}" -v -d d in
	said "gefrag: set $(ls d)" \
	    "gefrag: $(grep ^digest d/*/manifest)" \
	    "gefrag: 19.5 KiB in, $(cat d/*/* | wc -c |
		awk '{ printf "%.1f", $1 / 1024 }') KiB out, 3 segments, any 2 of 3 fragments"
	expect 0 gefrag "${SMALL[@]}" -vv in
	[ "$(wc -l <"$err")" -ge 3 ]
	expect 0 gefrag "${SMALL[@]}" in
	said
}

@test "gefrag: the same bytes whatever -j" {
	{ words 700000; bytes 300000; } >in
	for z in '' -z -p '-p -z'; do
		for j in 1 2 5; do
			# shellcheck disable=SC2086	# words
			fixed s gefrag $z -k 3 -n 5 -b 4k -O payload=32k -j $j \
			    in >s$j
		done
		cmp s1 s2
		cmp s1 s5
	done
}

@test "gefrag: the same bytes in a stream, in a file and in a folder" {
	bytes 50000 >in
	fixed s gefrag "${SMALL[@]}" -N x in >s
	fixed s gefrag "${SMALL[@]}" -N x -o f - <in
	fixed s gefrag "${SMALL[@]}" -N x -d d <in
	cmp s f
	mkdir e
	tar xf s -C e
	diff -r d e
	# Portable kernels give the same.
	GE_CPU=portable fixed s gefrag "${SMALL[@]}" -N x in | cmp - s
}

@test "gefrag: a stream is a tar of canonical names, in order" {
	bytes 10000 >in
	fixed s gefrag "${SMALL[@]}" in >s
	id=$(tar tf s | sed -n '1s,/.*,,p')
	tar tf s >names
	diff - names <<-END
	$id/0000000000.00.gef
	$id/0000000000.01.gef
	$id/0000000000.02.gef
	$id/0000000001.00.gef
	$id/0000000001.01.gef
	$id/0000000001.02.gef
	$id/manifest
	END
	[ "$(TZ=UTC tar --numeric-owner --full-time -tvf s |
	    awk '{ print $1, $2, $4, $5 }' | sort -u)" = \
	    '-rw-r--r-- 0/0 1970-01-01 00:00:00' ]
	[ "$(tail -c 1024 s | tr -d '\0' | wc -c)" -eq 0 ]
}

@test "gefrag: an existing file is refused untouched, -f replaces it" {
	bytes 1000 >in
	echo mine >f
	expect 2 gefrag -o f in
	said "gefrag: 'f' exists (-f overwrites it)"
	[ "$(cat f)" = mine ]
	expect 0 gefrag -f -o f in
	said
	gejoin f | cmp - in
	echo mine >target
	ln -s target link
	expect 2 gefrag -o link in
	[ "$(cat target)" = mine ]
	[ "$(ls -A)" = "$(printf 'f\nin\nlink\ntarget')" ]
}

@test "gefrag: -o to a device or a pipe is written to" {
	bytes 1000 >in
	expect 0 gefrag -o /dev/null in
	expect 1 gefrag -o /dev/full in
	said "gefrag: output: cannot write: No space left on device"
	[ -c /dev/null ]
	gefrag -o /dev/stdout in | gejoin | cmp - in
}

@test "gefrag: a file appears complete or not at all" {
	bytes 20000 >in
	expect 1 gefrag -o no/such in
	said "gefrag: cannot create 'no/such': No such file or directory"
	expect 1 gefrag -o f <.
	said "gefrag: input: cannot read: Is a directory"
	expect 1 bash -c 'ulimit -f 4; gefrag -k 2 -n 3 -o f in'
	told "cannot write: File too large"
	echo mine >g
	expect 1 bash -c 'ulimit -f 4; gefrag -k 2 -n 3 -f -o g in'
	[ "$(cat g)" = mine ]
	[ "$(ls -A)" = "$(printf 'g\nin')" ]
}

@test "gefrag: what fails leaves no fragment in the folder" {
	bytes 900000 >in
	mkdir d
	echo mine >d/file
	# Every fragment fits, the manifest of 110 segments does not.
	expect 1 bash -c 'ulimit -f 6; gefrag -k 2 -n 3 -b 4k -O payload=4k -d d in'
	grep -qx "gefrag: 'd/[0-9a-f]*/manifest': cannot write: File too large" \
	    "$err"
	expect 1 bash -c 'ulimit -f 4; gefrag -k 2 -n 3 -b 4k -O payload=4k -d d in'
	told "cannot write: File too large"
	expect 1 gefrag -d d <.
	[ "$(ls -A d)" = file ]
	expect 1 gefrag -d in/d in
	grep -qx "gefrag: cannot make folder 'in/d/[0-9a-f]*': Not a directory" \
	    "$err"
}

@test "gefrag: -d makes its folder, and adds to one that is there" {
	bytes 100 >in
	gefrag -d a/b/c in
	gefrag -d a/b/c/ in
	[ "$(ls a/b/c | wc -l)" -eq 2 ]
	for s in a/b/c/*; do
		gejoin "$s" | cmp - in
	done
}

@test "gefrag: input that cannot be read is named" {
	expect 2 gefrag nope
	said "gefrag: cannot open 'nope': No such file or directory"
	ln -s loop loop
	expect 2 gefrag loop
	said "gefrag: cannot open 'loop': Too many levels of symbolic links"
	expect 2 gefrag .
	said "gefrag: cannot open '.': Is a directory"
	expect 1 gefrag <.
	said "gefrag: input: cannot read: Is a directory"
}

@test "gefrag: closed and full descriptors are errors, not lost data" {
	bytes 20000 >in
	expect 1 bash -c 'gefrag in >/dev/full'
	said "gefrag: output: cannot write: No space left on device"
	expect 1 bash -c 'gefrag in >&-'
	said "gefrag: output: cannot write: Bad file descriptor"
	expect 1 bash -c 'gefrag <&-'
	said "gefrag: input: cannot read: Bad file descriptor"
	expect 0 bash -c 'gefrag in 2>&-'
	gejoin <"$out" | cmp - in
	expect 0 bash -c 'gefrag -d d in <&- >&- 2>&-'
	gejoin d | cmp - in
	expect 0 bash -c 'gefrag -o f in <&- >&- 2>&-'
	gejoin f | cmp - in
}

@test "gefrag: a reader that goes away ends it with a word" {
	bytes 3000000 >in
	gefrag in 2>"$err" | head -c 1 >"$out" && status=("${PIPESTATUS[@]}")
	[ "${status[*]}" = '1 0' ]
	said "gefrag: output: cannot write: Broken pipe"
}

@test "gefrag: no stream goes to a terminal unless forced" {
	bytes 1000 >in
	expect 2 on_terminal 'gefrag in 2>err'
	[ "$(cat err)" = "gefrag: standard output is a terminal: redirect it, or use -d or -o" ]
	[ ! -s "$out" ]
	expect 0 on_terminal 'gefrag -f in 2>err'
	[ "$(wc -c <"$out")" -gt 9000 ]
	expect 0 on_terminal 'gefrag -d d in 2>err'
	gejoin d | cmp - in
}

@test "gefrag: a key that cannot be used is refused and named" {
	keys
	bytes 100 >in
	openssl pkey -in anna.pem -aes256 -passout pass:tiger -out locked.pem
	openssl pkey -in sign.pem -aes256 -passout pass:tiger -out lock.pem
	echo junk >junk.pem
	: >empty.pem
	while IFS='|' read -r opt file line; do
		expect 2 gefrag "$opt" "$file" -d d in
		said "gefrag: $line"
	done <<-'END'
	-r|nope.pub|cannot open 'nope.pub': No such file or directory
	-r|.|cannot open '.': Is a directory
	-r|junk.pem|'junk.pem' is not a PEM key
	-r|empty.pem|'empty.pem' is not a PEM key
	-r|anna.pem|'anna.pem' is not an X25519 public key
	-r|sign.pub|'sign.pub' is not an X25519 public key
	-r|locked.pem|'locked.pem' is an encrypted private key: decrypt it with openssl pkey
	-S|nope.pem|cannot open 'nope.pem': No such file or directory
	-S|sign.pub|'sign.pub' is not an Ed25519 private key
	-S|anna.pem|'anna.pem' is not an Ed25519 private key
	-S|lock.pem|'lock.pem' is an encrypted private key: decrypt it with openssl pkey
	-P|nope|cannot open 'nope': No such file or directory
	-P|.|cannot open '.': Is a directory
	-P|empty.pem|'empty.pem': empty passphrase
	END
	echo >newline
	expect 2 gefrag -P newline -d d in
	said "gefrag: 'newline': empty passphrase"
	bytes 4097 >long
	expect 2 gefrag -P long -d d in
	said "gefrag: 'long' is too long: more than 4096 bytes"
	[ ! -e d ]
}

@test "gefrag: sixteen recipients, and no more" {
	keys
	bytes 100 >in
	for i in {1..15}; do
		r+=(-r boris.pub)
	done
	expect 0 gefrag "${r[@]}" -r anna.pub -d d in
	[ "$(grep -c '^recipient x25519$' d/*/manifest)" -eq 16 ]
	gejoin -i anna.pem d | cmp - in
	expect 2 gefrag "${r[@]}" -r anna.pub -r anna.pub -d e in
	said "gefrag: -r 'anna.pub': more than 16 recipients"
}

@test "gefrag: secrets stand in no message and no fragment" {
	keys
	printf 'correct horse\n' >pass
	bytes 100 >in
	expect 0 gefrag -vvv -P pass -S sign.pem -d d in
	for secret in 'correct horse' "$(sed -n 2p sign.pem)"; do
		fails grep -qF -- "$secret" "$err"
		fails grep -rqF -- "$secret" d
	done
	grep -qx 'recipient passphrase' d/*/manifest
	grep -q '^signature ed25519 ' d/*/manifest
}

@test "gefrag: SIGTERM leaves nothing, and it dies of it" {
	mkfifo in
	mkdir d
	for how in '-d d' '-o f' '-j 1 -d d'; do
		# shellcheck disable=SC2086	# words
		gefrag "${SMALL[@]}" $how <in 3>&- &
		pid=$!
		exec 9>in
		# More than a pipe holds: once it is gone the program is at work.
		bytes 400000 >&9
		case $how in
		*d)	until_true compgen -G 'd/*/0000000002.02.gef' ;;
		esac
		kill -TERM $pid
		status=0
		wait $pid || status=$?
		exec 9>&-
		[ $status -eq 143 ]
		[ "$(ls -A)" = "$(printf 'd\nin')" ]
		[ -z "$(ls -A d)" ]
	done
}

@test "gefrag: a signal ends it while its reader stalls" {
	bytes 3000000 >in
	for j in 1 3; do
		heeds gefrag -k 2 -n 3 -O payload=256k -j $j in
		[ -z "$(ls -A "$TMPDIR")" ]
	done
}

@test "gefrag: -j 1 starts no thread, -j 3 does" {
	mkfifo in
	for j in 1 3; do
		gefrag "${SMALL[@]}" -j $j -d d$j <in 3>&- &
		pid=$!
		exec 9>in
		# More than a pipe holds: once it is gone the program is at work.
		bytes 400000 >&9
		until_true compgen -G "d$j/*/0000000002.02.gef"
		threads=(/proc/$pid/task/*)
		exec 9>&-
		wait $pid
		case $j in
		1)	[ ${#threads[@]} -eq 1 ] ;;
		3)	[ ${#threads[@]} -gt 1 ] ;;
		esac
		gejoin d$j | cmp - <(bytes 400000)
	done
}

@test "gefrag: SIGUSR1 asks for a line of progress" {
	mkfifo in
	gefrag "${SMALL[@]}" -d d <in 2>"$err" 3>&- &
	pid=$!
	exec 9>in
	bytes 400000 >&9
	kill -USR1 $pid
	until_true test -s "$err"
	exec 9>&-
	wait $pid
	grep -qE '^gefrag: [0-9.]+ [KMi]*B, [0-9.]+ [KMG]?i?B/s, [0-9]+ s$' "$err"
	gejoin d | cmp - <(bytes 400000)
}
