load helper

LINES_KNOWN=(
	'the quick brown fox jumps over the lazy dog'
	"l'été dernier à Nancy, il a plu"
	'one two three four five six seven'
	'roses are red\nviolets are \\blue\ttoo'
)

setup_file() {
	printf '%s\n' "${LINES_KNOWN[@]}" |
	    "$GE_BUILD/tool/tinylm" 150 "$BATS_FILE_TMPDIR/known"
	printf '%s\n' "${LINES_KNOWN[@]}" |
	    "$GE_BUILD/tool/tinylm" 0 "$BATS_FILE_TMPDIR/vague"
}

# model NAME: one of the two, known or vague, as the folder m.
model() {
	cp -r "$BATS_FILE_TMPDIR/$1" m
}

# prints LINE ...: standard output was just these lines.
prints() {
	printf '%s\n' "$@" | diff - "$out"
}

@test "gepredict: --help, --version and wrong options are answered" {
	model known
	answers gepredict
	expect 2 gepredict
	said 'gepredict: which model?'
	expect 2 gepredict -O temperature=warm m
	said "gepredict: temperature 'warm': not a number from 0 to 100"
	expect 2 gepredict -O temperature=0.001 m
	said "gepredict: temperature '0.001': 0, or at least 0.01"
	expect 2 gepredict -O top-p=1.5 m
	said "gepredict: top-p '1.5': not a number from 0 to 1"
	expect 2 gepredict -O length=0 m
	said "gepredict: length '0': not a number from 1 to 1000000"
	expect 2 gepredict -O seed=-1 m
	said "gepredict: seed '-1': not a number below 2^64"
	expect 2 gepredict -O format=xml m
	said "gepredict: format 'xml': not line, raw or json"
	expect 2 gepredict -O prec=f16 m
	said "gepredict: prec 'f16': not f32 or bf16"
	expect 2 gepredict -O stop= m
	said 'gepredict: stop: an empty one'
	expect 2 gepredict -O rule=llama.cpp m
	said 'gepredict: rule: it is for -O nll'
	expect 2 gepredict -O nll -O whole m
	said 'gepredict: nll and whole: one of them'
	expect 2 gepredict m -v
	said "gepredict: '-v': options come before operands"
}

@test "gepredict: what is no model is refused" {
	expect 2 gepredict nowhere
	said "gepredict: cannot open 'nowhere': No such file or directory"
	mkdir empty
	expect 2 gepredict empty
	said "gepredict: 'empty': not the folder of a model: it has no config.json, monitor.safetensors or model.json"
	model known
	expect 2 gepredict m/config.json
	told 'not the folder of a model'
	truncate -s -1 m/model.safetensors
	expect 5 gepredict m
	told "model.safetensors'"
	[ ! -s "$out" ]
	rm m/model.safetensors
	expect 2 gepredict m
	told model.safetensors
	rm -r m
	model known
	head -c 4 /dev/zero | tr '\0' '\377' |
	    dd of=m/model.safetensors bs=1 conv=notrunc status=none \
	    seek=$(($(stat -c %s m/model.safetensors) - 4))
	expect 5 gepredict m
	[ "$(wc -l <"$err")" -eq 1 ]
}

@test "gepredict: a line for each prompt, what follows it" {
	model known
	printf '%s\n' 'the quick' "l'été" 'one two' >in
	expect 0 gepredict -O temperature=0 m <in
	said
	prints ' brown fox jumps over the lazy dog' \
	    ' dernier à Nancy, il a plu' ' three four five six seven'
	mv "$out" want
	expect 0 gepredict -O temperature=0 m in
	cmp want "$out"
	expect 0 gepredict -O temperature=0 m - <in
	cmp want "$out"
	# The last line may want its end.
	expect 0 bash -c 'printf "%s" "$(cat in)" | gepredict -O temperature=0 m'
	cmp want "$out"
	split -l 1 in part.
	expect 0 gepredict -O temperature=0 m part.*
	cmp want "$out"
	expect 0 gepredict -O temperature=0 -O prec=bf16 m in
	cmp want "$out"
	expect 0 gepredict m /dev/null
	[ ! -s "$out" ]
	expect 2 gepredict m in gone
	told "cannot open 'gone'"
}

@test "gepredict: a new line in the text is no new line of output" {
	model known
	echo 'roses are' >in
	expect 0 gepredict -O temperature=0 m in
	prints ' red\nviolets are \\blue\ttoo'
	# shellcheck disable=SC2059	# the format is the test
	[ "$(printf '%b' "$(cat "$out")")" = $' red\nviolets are \\blue\ttoo' ]
	expect 0 gepredict -O temperature=0 -O format=raw m in
	prints $' red\nviolets are \\blue\ttoo'
	expect 0 gepredict -O temperature=0 -O 'stop=\n' m in
	prints ' red'
	# Two lines may be one prompt.
	printf 'roses are red\nviolets\n' >in
	expect 0 gepredict -O temperature=0 -O whole m in
	prints ' are \\blue\ttoo'
}

@test "gepredict: as JSON, with why it ends" {
	model known
	printf '%s\n' 'the quick' 'roses are' >in
	expect 0 gepredict -O temperature=0 -O format=json m in
	python3 - "$out" <<-'EOF'
	import json, sys
	a, b = [json.loads(l) for l in open(sys.argv[1])]
	assert list(a) == ["prompt", "text", "tokens", "stop"]
	assert a["prompt"] == "the quick"
	assert a["text"] == " brown fox jumps over the lazy dog"
	assert a["stop"] == "end" and 8 <= a["tokens"] <= 34
	assert b["text"] == " red\nviolets are \\blue\ttoo"
	EOF
	expect 0 gepredict -O temperature=0 -O format=json -O length=3 m in
	[ "$(grep -c '"tokens": 3, "stop": "length"}$' "$out")" -eq 2 ]
	expect 0 gepredict -O temperature=0 -O format=json -O stop=never \
	    -O 'stop= lazy' -O 'stop=\\' m in
	grep -q '"text": " brown fox jumps over the", .*"stop": "stop"}$' "$out"
	grep -q '"text": " red\\nviolets are ", .*"stop": "stop"}$' "$out"
}

@test "gepredict: the same seed is the same text, whatever -j and processor" {
	local how cpu
	model vague
	yes 'the quick' | head -n 5 >in
	how='gepredict -O length=40 -O temperature=1.3 -O top-k=100'
	expect 0 $how m in
	[ "$(sort -u "$out" | wc -l)" -eq 5 ]
	mv "$out" want
	for cpu in portable avx2 avx512 ''; do
		GE_CPU=$cpu expect 0 $how -j 1 m in
		cmp want "$out"
	done
	expect 0 $how -j 3 m in
	cmp want "$out"
	expect 0 $how -O seed=0 m in
	cmp want "$out"
	expect 0 $how -O seed=1 m in
	[ "$(cat "$out" want | sort -u | wc -l)" -eq 10 ]
	# Each prompt has random numbers of its own.
	(head -n 2 in; echo other; tail -n 2 in) >in2
	expect 0 $how m in2
	[ "$(sed 3d "$out")" = "$(sed 3d want)" ]
	[ "$(sed -n 3p "$out")" != "$(sed -n 3p want)" ]
	expect 0 $how -O top-k=1 m in
	[ "$(sort -u "$out" | wc -l)" -eq 1 ]
	mv "$out" one
	expect 0 $how -O temperature=0 m in
	cmp one "$out"
	expect 0 $how -O top-p=0 m in
	cmp one "$out"
}

@test "gepredict: what is printed is text, whatever the model says" {
	local f
	model vague
	yes 'the quick' | head -n 20 >in
	for f in line raw json; do
		expect 0 gepredict -O length=200 -O temperature=2 -O top-p=1 \
		    -O format=$f m in
		iconv -f UTF-8 -t UTF-16 "$out" >utf16
		[ $f = raw ] || [ "$(wc -l <"$out")" -eq 20 ]
		[ $f = raw ] || [ "$(tr -d '\n' <"$out" |
		    LC_ALL=C tr -d '\000-\037\177' | wc -c)" -eq \
		    $(($(wc -c <"$out") - 20)) ]
	done
}

@test "gepredict: each line is answered before the next is asked" {
	local answer pid status=0
	model known
	coproc gepredict -O temperature=0 m 3>&-
	pid=$COPROC_PID
	echo 'one two' >&"${COPROC[1]}"
	read -r answer <&"${COPROC[0]}"
	[ "$answer" = 'three four five six seven' ]
	echo 'the quick' >&"${COPROC[1]}"
	read -r answer <&"${COPROC[0]}"
	[ "$answer" = 'brown fox jumps over the lazy dog' ]
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ $status -eq 143 ]
}

@test "gepredict: a prompt longer than the context is noted and cut" {
	model known
	(yes 'lazy ' | head -n 100 | tr -d '\n'; echo 'one two') >in
	expect 0 gepredict m in
	[ "$(wc -l <"$out")" -eq 1 ]
	[ "$(wc -l <"$err")" -eq 1 ]
	told 'tokens: only its last 63 are used'
	expect 0 gepredict -q m in
	said
	expect 0 gepredict -q -O ctx=8 -O length=100 m in
	said
	expect 2 gepredict -O ctx=65 m in
	said "gepredict: ctx '65': the model has 64"
}

@test "gepredict: an empty prompt, and none" {
	model known
	expect 0 gepredict m </dev/null
	said
	[ ! -s "$out" ]
	expect 0 bash -c 'printf "\n\n" | gepredict m'
	said
	[ "$(wc -l <"$out")" -eq 2 ]
	expect 0 gepredict -O whole m /dev/null
	[ "$(wc -l <"$out")" -eq 1 ]
}

@test "gepredict: bad prompts are refused, what was before them is answered" {
	model known
	printf 'one two\nbad \377\nthe quick\n' >in
	expect 5 gepredict -O temperature=0 m in
	said "gepredict: 'in': line 2: not UTF-8"
	prints ' three four five six seven'
	expect 5 gepredict -O nll m in
	said "gepredict: 'in': not UTF-8 at byte 12"
	head -c 17m /dev/zero | tr '\0' a >in
	expect 2 gepredict m in
	said "gepredict: 'in': more than 16 MiB on a line"
	expect 2 gepredict -O nll m /dev/null
	said "gepredict: '/dev/null': no text"
}

@test "gepredict: what a text costs" {
	local h
	model known
	printf 'one two three four five six seven' >good
	printf 'seven six five four three two one' >bad
	expect 0 gepredict -O nll m good bad
	said
	h=$'#text\tbytes\ttokens\tnats\tnats/token\tbits/byte\tperplexity'
	[ "$(sed -n 1p "$out")" = "$h" ]
	# All bytes; the quotients are right; the text it knows costs less.
	awk -F '\t' 'function near(a, b) { return (a - b) ^ 2 < 1e-6 * b * b }
	    NR == 1 { next }
	    NF != 7 || $2 != 33 || !near($5, $4 / $3) ||
	    !near($6, $4 / log(2) / $2) || !near($7, exp($5)) { exit 1 }
	    { nats[$1] = $4 }
	    END { exit !(NR == 3 && nats["good"] * 2 < nats["bad"]) }' "$out"
	mv "$out" want
	expect 0 gepredict -O nll -j 1 m good bad
	cmp want "$out"
	expect 0 gepredict -O nll m <good
	[ "$(sed -n 2p "$out")" = "-$(sed -n 's/^good//p' want)" ]
	cp good 'a b'
	expect 0 gepredict -O nll m 'a b'
	[ "$(sed -n 2p "$out" | cut -f 1)" = 'a%20b' ]
	expect 2 gepredict -O nll -O rule=llama.cpp m good
	told 'is shorter than the context of 64'
	cat good bad good bad good bad >long
	expect 0 gepredict -O nll -O rule=llama.cpp -O ctx=10 m long
	# Of each ten tokens the last four.
	awk -F '\t' 'END { exit !($3 > 0 && $3 % 4 == 0) }' "$out"
}

@test "gepredict: closed and full descriptors are errors" {
	model known
	echo 'one two' >in
	expect 1 bash -c 'gepredict m in >/dev/full'
	said 'gepredict: output: cannot write: No space left on device'
	expect 1 bash -c 'gepredict m in >&-'
	said 'gepredict: output: cannot write: Bad file descriptor'
	expect 1 bash -c 'gepredict m <&-'
	said "gepredict: 'standard input': cannot read: Bad file descriptor"
	expect 1 bash -c 'gepredict -O nll m in >/dev/full'
	said 'gepredict: output: cannot write: No space left on device'
	yes 'one two' | head -n 20000 >many
	gepredict m many 2>"$err" | head -c 1 >"$out" && status=("${PIPESTATUS[@]}")
	[ "${status[*]}" = '1 0' ]
	said 'gepredict: output: cannot write: Broken pipe'
	heeds gepredict m many
}

@test "gepredict: without memory it fails with a word" {
	local i status n=0
	model known
	echo 'one two' >in
	gepredict -O temperature=0 -O stop=x -O format=json m in >want
	for ((i = 1; i < 1000; i++)); do
		status=0
		GE_FAILALLOC=$i gepredict -j 1 -O temperature=0 -O stop=x \
		    -O format=json m in >"$out" 2>"$err" || status=$?
		[ $status -ne 0 ] || break
		[ $status -eq 1 ]
		told 'out of memory'
		n=$i
	done
	[ $n -gt 20 ]
	cmp want "$out"
}
