load helper

# The text of every test: our own pages, in an archive of the same bytes each time.
setup_file() {
	tar c --sort=name --owner=0 --group=0 --mtime=@0 -C "$GE_TOP" man \
	    >"$BATS_FILE_TMPDIR/pages.tar"
	tiny=(-q -O size=1m -O vocab=384 -O layers=1 -O len=32 -O batch=8)
	getrain lm "${tiny[@]}" -O steps=6 -o "$BATS_FILE_TMPDIR/base" \
	    "$BATS_FILE_TMPDIR/pages.tar"
}

pages=$BATS_FILE_TMPDIR/pages.tar
base=$BATS_FILE_TMPDIR/base

# learn OPTION ...: a few steps of a small model.
learn() {
	getrain lm -q -O size=1m -O vocab=384 -O layers=1 -O len=32 -O batch=8 \
	    -O steps=6 "$@"
}

# weights MODEL: a digest of them.
weights() {
	sha256sum <"$1/model.safetensors"
}

# same MODEL: its weights are those of the first test's.
same() {
	cmp "$base/model.safetensors" "$1/model.safetensors"
}

@test "getrain: --help, --version and wrong options are answered" {
	answers getrain lm
	expect 2 getrain
	grep -q '^usage: getrain lm' "$err"
	expect 2 getrain trams
	said "getrain: 'trams': no such family of models"
	expect 2 getrain lm -Z
	grep -q '^usage: getrain' "$err"
	while IFS='|' read -r opt line; do
		expect 2 getrain lm -O "$opt" -o m </dev/null
		said "getrain: $line"
	done <<-'END'
	steps=0|steps '0': not a number from 1 to 1000000000000000
	minutes=0|minutes '0': not a number from 1e-09 to 1e+09
	epochs=0|epochs '0': not a number from 1e-09 to 1e+09
	lr=much|lr 'much': not a number from 0 to 10
	lr=nan|lr 'nan': not a number from 0 to 10
	prec=fp8|prec 'fp8': not f32 or bf16
	gguf=1|-O 'gguf=1': takes no value
	lr|-O 'lr': its value is missing
	widht=3|-O 'widht=3': no such option
	lora=4|-O lora needs a base: -i
	adapter|-O adapter needs -O lora=rank
	shards=3|shards 3: not a power of 2 that divides the batch of 16
	shards=32|shards 32: not a power of 2 that divides the batch of 16
	END
	expect 2 getrain lm -O resume </dev/null
	said 'getrain: checkpoints need a place: -o or -O checkpoints=dir'
	expect 2 getrain lm -O size=7m -o m "$pages"
	told "size '7m': no such size; there are 1m, "
	expect 2 getrain lm -O size=1m -O len=100000 -o m "$pages"
	told 'len 100000 is more than the'
	expect 2 getrain lm -o m nothing
	told "cannot open 'nothing'"
	[ ! -e m ]
}

@test "getrain: the same bytes whatever -j and whatever the processor has" {
	for j in 1 3; do
		for cpu in '' noavx512 portable; do
			GE_CPU=$cpu learn -j $j -o m "$pages"
			same m
			rm -r m m.checkpoints
		done
	done
	learn -O seed=2 -o m "$pages"
	fails same m
}

@test "getrain: the same bytes from a pipe, a file, and files compressed" {
	learn -o m <"$pages"
	same m
	xz -k <"$pages" >p.tar.xz
	learn -o n p.tar.xz
	same n
	mkdir in
	tar xf "$pages" -C in
	learn -o o in/man/*
	cmp m/tokenizer.json o/tokenizer.json
}

@test "getrain: killed and resumed at any step, the same bytes" {
	for n in 1 2 4 5; do
		learn -O steps=6 -O every=1 -o m -O checkpoint="
			test \$(ls m.checkpoints | grep -c '00$n.s') = 0 ||
			kill -KILL \$PPID" "$pages" || [ $? -eq 137 ]
		[ ! -e m ]
		[ "$(ls m.checkpoints | tail -n 1)" = \
		    "checkpoint-0000000$n.safetensors" ]
		learn -O resume -o m "$pages"
		same m
		rm -r m m.checkpoints
	done
}

@test "getrain: SIGTERM leaves a checkpoint, and ends with the signal" {
	learn -o m -O every=1 -O checkpoint="kill -TERM \$PPID" "$pages" ||
	    [ $? -eq 143 ]
	[ ! -e m ]
	[ "$(ls m.checkpoints)" != '' ]
	learn -O resume -o m "$pages"
	same m
	[ "$(ls m.checkpoints | wc -l)" -le 2 ]
	[ "$(ls -A | sort | xargs)" = 'm m.checkpoints' ]
}

@test "getrain: SIGTERM behind the last step is heeded, and nothing lost" {
	learn -o m -O checkpoint="kill -TERM \$PPID" "$pages" || [ $? -eq 143 ]
	[ ! -e m ]
	[ "$(ls m.checkpoints)" = checkpoint-00000006.safetensors ]
	learn -O resume -O log=log -o m "$pages"
	same m
	diff <(grep '"val"' "$base/run.json") <(grep '"val"' m/run.json)
}

@test "getrain: a checkpoint of other data or options is refused" {
	learn -O every=3 -o m "$pages"
	cp -r m.checkpoints kept
	for o in lr=0.01 seed=2 steps=7 batch=16 vocab=385 prec=f32 len=31 \
	    val=0.1; do
		expect 5 learn -f -O resume -O $o -o m "$pages"
		told 'is of other data or options'
	done
	expect 5 learn -f -O resume -o m "$GE_TOP/README" "$pages"
	told 'is of other data or options'
	diff -r kept m.checkpoints
	learn -f -O resume -j 2 -O gguf -o m "$pages"
	same m
}

@test "getrain: checkpoints of another run are in the way, or go" {
	learn -O every=2 -o m "$pages"
	rm -r m
	expect 2 learn -O seed=2 -o m "$pages"
	said "getrain: 'm.checkpoints' has checkpoints: -O resume goes on from them, -f removes them"
	learn -t -O seed=2 -o m "$pages" >"$out"
	[ "$(ls m.checkpoints | wc -l)" -eq 2 ]
	expect 1 learn -f -O seed=2 -O every=2 -O checkpoint='exit 1' -o m "$pages"
	[ "$(ls m.checkpoints)" = checkpoint-00000002.safetensors ]
	learn -O resume -O seed=2 -o m "$pages"
}

@test "getrain: what is damaged is passed over, and said" {
	learn -O every=2 -o m "$pages"
	rm -r m
	flip m.checkpoints/checkpoint-00000006.safetensors 100000
	expect 0 getrain lm -O size=1m -O vocab=384 -O layers=1 -O len=32 \
	    -O batch=8 -O steps=6 -O resume -o m "$pages"
	told "checkpoint-00000006.safetensors'"
	told 'going on from step 4'
	same m
}

@test "getrain: each checkpoint goes through the command" {
	learn -O every=2 -O checkpoint='gefrag -d store -N run' -o m "$pages"
	[ "$(ls store | wc -l)" -eq 3 ]
	for s in store/*; do
		gejoin -q "$s" | head -c 200 | grep -q getools
	done
	rm -r m m.checkpoints
	expect 1 learn -O every=2 -O checkpoint='cat >/dev/null; exit 7' -o m \
	    "$pages"
	told 'exit 7'
	told 'status 7' || true
	[ ! -e m ]
	[ -s m.checkpoints/checkpoint-00000002.safetensors ]
}

@test "getrain: a model that exists stays, unless forced" {
	learn -o m "$pages"
	before=$(weights m)
	rm -r m.checkpoints
	expect 2 learn -O seed=3 -o m "$pages"
	said "getrain: 'm' exists (-f overwrites it)"
	[ "$(weights m)" = "$before" ]
	learn -f -O seed=3 -o m "$pages"
	[ "$(weights m)" != "$before" ]
	mkdir mine
	echo precious >mine/thesis
	expect 2 learn -f -o mine "$pages"
	grep -q precious mine/thesis
}

@test "getrain: without -o a tar, through fragments and back" {
	learn "$pages" >m.tar
	tar tf m.tar | sort | diff - <(cd "$base" && ls | sed s,^,model/,)
	learn "$pages" | gefrag -d store
	gejoin -q store | tar x
	same model
	echo 'The' | gepredict -O length=4 model | grep -q .
	learn "$pages" >/dev/full 2>"$err" || [ $? -eq 1 ]
	told 'No space left'
}

@test "getrain: the report says what was done" {
	expect 0 getrain lm -O size=1m -O vocab=384 -O layers=1 -O len=32 \
	    -O batch=8 -O epochs=0.02 -O gco2=50 -O digest=abc -o m "$pages"
	told 'constant: 5.95'
	told 'unigram: '
	told 'trigram: '
	told 'this model: '
	told ' g of CO2'
	python3 - <<-'END'
	import json, math
	r = json.load(open('m/run.json'))
	assert r['family'] == 'lm' and r['data']['set_digest'] == 'abc'
	d, x = r['data'], r['result']
	assert d['documents'] > d['held_out'] > 0
	want = math.ceil(0.02 * d['tokens'] / (8 * 32))
	assert x['steps'] == r['options']['steps'] == want, (x, want)
	assert x['stopped_by'] == 'epochs' and x['tokens'] == want * 256
	b = {y['name']: y for y in x['baselines']}
	assert abs(b['constant']['nats'] - math.log(384)) < 1e-6
	assert b['trigram']['nats'] < b['unigram']['nats'] < math.log(384)
	assert 0 < x['val'] < 7 and x['joules'] > 0
	assert abs(x['gco2'] - x['joules'] / 3.6e6 * 50) < 1e-6 * x['gco2']
	ratio = x['val_bits_a_byte'] / x['val']
	assert abs(ratio - b['constant']['bits_a_byte'] / math.log(384)) < 1e-5
	END
	grep -q '^# A language model' m/README.md
	grep -q '| trigram |' m/README.md
}

@test "getrain: what is learnt: the loss falls, below that of unigrams" {
	expect 0 getrain lm -O size=1m -O vocab=384 -O layers=1 -O len=32 \
	    -O batch=8 -O steps=150 -O lr=0.003 -O log=log -O eval=50 -o m \
	    "$pages"
	uni=$(sed -n 's/.*unigram: \([0-9.]*\) .*/\1/p' "$err")
	own=$(sed -n 's/.*this model: \([0-9.]*\) .*/\1/p' "$err")
	awk -v a="$own" -v b="$uni" 'BEGIN { exit !(a < b - 0.3) }'
	head -n 1 log | grep -qxP '#step\tloss\tval\tlr\ttok/s\tJ\teta'
	[ "$(wc -l <log)" -eq 151 ]
	awk -F '\t' 'NR > 1 && NF != 7 { exit 1 }' log
	[ "$(awk -F '\t' 'NR > 1 && $3 != "-" { print $1 }' log | xargs)" = \
	    '50 100 150' ]
	[ "$(awk -F '\t' '$1 == 150 { printf "%.4f", $3 }' log)" = "$own" ]
}

@test "getrain: a log that cannot be written costs no model" {
	expect 1 learn -O log=/dev/full -o m "$pages"
	said "getrain: cannot write '/dev/full': No space left on device"
	same m
}

@test "getrain: each limit ends the run, the first that is met" {
	expect 0 learn -O tokens=1024 -o a "$pages"
	grep -q '"stopped_by": "tokens"' a/run.json
	grep -q '"steps": 4,' a/run.json
	expect 0 learn -O joules=0.000001 -o b "$pages"
	grep -q '"stopped_by": "joules"' b/run.json
	expect 0 learn -O minutes=0.000001 -o c "$pages"
	grep -q '"stopped_by": "minutes"' c/run.json
	grep -q '"steps": 1,' c/run.json
}

@test "getrain: what a limit of time gave comes out again by the numbers told" {
	# The clock ends it in the middle of its course.
	learn() {
		getrain lm -q -O size=1m -O vocab=384 -O layers=1 -O len=32 \
		    -O batch=8 "$@"
	}
	learn -O minutes=0.01 -O every=3 -o m "$pages"
	number() {
		sed -n "1,/result/s/^    \"$1\": \([0-9]*\),/\1/p" m/run.json
	}
	[ "$(number course)" -ge "$(number steps)" ]
	grep -q '"stopped_by": "minutes"' m/run.json
	learn -O course="$(number course)" -O steps="$(number steps)" -o n \
	    "$pages"
	cmp m/model.safetensors n/model.safetensors
	# Resumed when it was already at its end, it does no more.
	cp -r m old
	learn -f -O resume -O minutes=0.01 -O every=3 -o m "$pages"
	cmp m/model.safetensors old/model.safetensors
	grep -q '"stopped_by": "minutes"' m/run.json
}

@test "getrain: -t says what it takes, and trains nothing" {
	expect 0 learn -t -o m "$pages"
	[ "$(cut -f 1 "$out" | xargs)" = \
	    '#part weights gradients moments activations tokens' ]
	said
	awk -F '\t' '{ n[$1] = $2 } END {
		exit !(n["weights"] > 1e6 && n["moments"] == 2 * n["weights"]) }' \
	    "$out"
	[ -z "$(ls -A)" ]
}

@test "getrain: from a base, in full and by LoRA" {
	learn -i "$base" -O steps=4 -o full "$pages" 2>"$err" || cat "$err"
	expect 2 getrain lm -i "$base" -O dim=256 -o m "$pages"
	told '-i has a size and a tokenizer of its own'
	expect 2 getrain lm -i "$base" -O vocab=500 -o m "$pages"
	told '-i has a size and a tokenizer of its own'
	expect 2 getrain lm -O tokenizer="$base/tokenizer.json" -O vocab=500 \
	    -o m "$pages"
	told 'a tokenizer has a vocabulary of its own'
	expect 0 getrain lm -q -i "$base" -O lora=4 -O steps=4 -O len=32 \
	    -O batch=8 -o merged "$pages"
	cmp "$base/config.json" merged/config.json
	fails same merged
	expect 0 getrain lm -q -i "$base" -O lora=4 -O adapter -O steps=4 \
	    -O len=32 -O batch=8 -O dtype=f32 -o adapter "$pages"
	[ "$(ls adapter | xargs)" = \
	    'README.md adapter_config.json adapter_model.safetensors run.json' ]
	grep -q '"r": 4' adapter/adapter_config.json
	head -c 4000 adapter/adapter_model.safetensors |
	    grep -aq 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight'
	expect 2 getrain lm -i nothing -o m "$pages"
}

@test "getrain: GGUF" {
	learn -O gguf -o m "$pages"
	[ "$(head -c 4 m/model.gguf)" = GGUF ]
	same m
}

@test "getrain: ge-model(5) has all members of run.json and config.json" {
	getrain lm -q -i "$base" -O lora=2 -O len=32 -O steps=1 -O val=0.2 \
	    -O gco2=50 -O digest=abc -o m "$pages"
	for f in run config; do
		names=$(grep -o '"[a-z0-9_-]*":' m/$f.json | tr -d '":' | sort -u)
		[ "$(wc -w <<<"$names")" -gt 20 ]
		for n in $names; do
			grep -q "^\\.[A-Z].* $n\( \|$\)" \
			    "$GE_TOP/man/ge-model.5" || echo "$f.json: $n"
		done
	done >missing
	cat missing
	# These are for other programs.
	[ "$(xargs -n 2 <missing | cut -d ' ' -f 2 | xargs)" = \
	    'attention_dropout initializer_range pretraining_tp torch_dtype use_cache' ]
}

# ranks N OPTION ...: the same few steps as `learn`, by N processes.
ranks() {
	local mpirun=(mpirun.mpich) n=$1
	shift
	export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	case $GE_MPI in
	ompi*)	mpirun=(mpirun.openmpi --quiet --oversubscribe --bind-to none) ;;
	esac
	# What MPI does not free is no leak of ours.
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "${mpirun[@]}" -n "$n" \
	    getrain lm "${verbose--q}" -j 1 -O size=1m -O vocab=384 -O layers=1 \
	    -O len=32 -O batch=8 -O steps=6 "$@" </dev/null
}

mpi() {
	[ "${GE_MPI:-0}" != 0 ] || skip 'built without MPI'
}

@test "getrain: ranks give the same bytes, and one message" {
	mpi
	for n in 2 4; do
		ranks $n -O every=2 -o m "$pages"
		same m
		rm -r m
		rm m.checkpoints/checkpoint-00000006.safetensors
		ranks 2 -O resume -o m "$pages"
		same m
		rm -r m m.checkpoints
	done
	fails ranks 2 -o m nothing 2>"$err"
	[ "$(grep -c "cannot open 'nothing'" "$err")" -eq 1 ]
	# What one rank alone finds ends all of them.
	mkdir m
	expect 2 ranks 2 -o m "$pages"
	[ "$(grep -c "'m' exists" "$err")" -eq 1 ]
	expect 1 ranks 2 -O log=none/log -o n "$pages"
	[ "$(grep -c "cannot write 'none/log'" "$err")" -eq 1 ]
	expect 1 ranks 2 -O log=/dev/full -o n "$pages"
	[ "$(grep -c "cannot write '/dev/full'" "$err")" -eq 1 ]
	same n
	expect 5 ranks 4 -O lr=0.1 -O resume -f -o n "$pages"
	[ "$(grep -c 'is of other data or options' "$err")" -eq 1 ]
}

@test "getrain: of ranks only the first says a line a step" {
	mpi
	ranks 2 -O steps=2 -o m "$pages" 2>"$err"
	[ ! -s "$err" ]
	verbose=-v ranks 2 -O steps=2 -o n "$pages" 2>"$err"
	[ "$(grep -c '^getrain: 2	' "$err")" -eq 1 ]
}

@test "getrain: ranks that train apart: the same bytes after a resumption" {
	mpi
	apart=(-O outer=2 -O together=1 -O every=2)
	ranks 2 "${apart[@]}" -o m "$pages"
	fails same m
	grep -q '"together": 1' m/run.json
	ranks 2 "${apart[@]}" -o n "$pages"
	cmp m/model.safetensors n/model.safetensors
	rm -r n
	# One of them was killed before it could write the last one.
	rm n.checkpoints/rank-1/checkpoint-00000006.safetensors
	ranks 2 "${apart[@]}" -O resume -o n "$pages"
	cmp m/model.safetensors n/model.safetensors
}

@test "getrain: ranks that train apart learn together" {
	mpi
	ranks 2 -O outer=4 -O together=0 -O steps=40 -O val=0.2 -o m "$pages"
	# The constant is the first of its baselines.
	awk '$1 == "\"nats\":" && !c { c = $2 + 0 }
	    $1 == "\"val\":" { val = $2 + 0 }
	    END { exit !(val > 0 && val < 0.9 * c) }' m/run.json
}

@test "getrain: a loss that is no number ends it, the last checkpoint stays" {
	expect 1 learn -O lr=10 -O lr-end=10 -O warmup=1 -O clip=0 -O steps=400 \
	    -O every=1 -O prec=f32 -O eps=1e-20 -O schedule=wsd -O decay=10 \
	    -o m "$pages"
	told 'is not a number'
	[ ! -e m ]
	[ "$(ls m.checkpoints | wc -l)" -le 2 ]
}

@test "getrain: no text, little text, and what is no text" {
	expect 2 learn -o m </dev/null
	said "getrain: 'standard input': no text"
	expect 2 learn -o m <<<'a few words'
	told 'too few tokens'
	expect 5 learn -o m </bin/true
	said "getrain: 'standard input': neither text nor an archive"
	printf 'one\ntwo \377\n' >bad
	expect 5 learn -o m bad
	told "'bad:2'"
	printf '{"text":"a"}\n{"txt":"b"}\n' >bad.jsonl
	expect 5 learn -o m bad.jsonl
	told "'bad.jsonl:2': no member \"text\""
	yes 'the same again' | head -c 200000000 | gzip >bomb.gz
	expect 5 learn -o m bomb.gz
	told 'raise -O ratio= if that is meant'
	expect 5 learn -o m -O unpacked=100m -O ratio=1m bomb.gz
	told 'raise -O unpacked= if that is meant'
	[ "$(ls -A | xargs)" = 'bad bad.jsonl bomb.gz' ]
	[ -z "$(ls -A "$TMPDIR")" ]
}

@test "getrain: what is held out of few documents is told" {
	words 9000 >one
	expect 0 getrain lm -t -O vocab=300 -O len=16 one
	told 'none of 1 document is held out: choose with -O val'
	expect 0 getrain lm -t -O vocab=300 -O len=16 -O val=0 one
	fails told 'held out: choose' >/dev/null
}

@test "getrain: no room for a checkpoint, a model, or the text" {
	(
		ulimit -f 2000
		expect 1 learn -O every=3 -o m "$pages"
	)
	told 'File too large'
	[ ! -e m ]
	[ -z "$(ls -A m.checkpoints)" ]
	rmdir m.checkpoints
	TMPDIR=/nowhere expect 1 learn -o m "$pages"
	told '/nowhere'
	[ -z "$(ls -A)" ]
}

@test "getrain: no memory, said in a line" {
	for i in $(seq 1 7 200); do
		GE_FAILALLOC=$i learn -o m "$pages" 2>"$err" && break
		[ "$(wc -l <"$err")" -eq 1 ]
		grep -q 'out of memory' "$err"
		[ ! -e m ]
		rm -rf m.checkpoints
	done
}
