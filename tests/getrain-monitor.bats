load helper

# A nominal table, and one with a fault from row 200 on, marked so.
setup_file() {
	cd "$BATS_FILE_TMPDIR"
	process 1500 7 >nominal.csv
	process 400 99 200 2 15 |
	    awk '{ print $0 (NR == 1 ? ",bad" : NR > 200 ? ",1" : ",0") }' \
	    >marked.csv
	getrain monitor -q -O time=time -o base nominal.csv
}

nominal=$BATS_FILE_TMPDIR/nominal.csv
marked=$BATS_FILE_TMPDIR/marked.csv
base=$BATS_FILE_TMPDIR/base

# learn OPTION ...: as the first model was learnt.
learn() {
	getrain monitor -q -O time=time "$@"
}

# same MODEL [MODEL]: all that it judges by is equal to the first test's.
same() {
	cmp "${2-$base}/monitor.safetensors" "$1/monitor.safetensors"
	cmp "${2-$base}/schema.json" "$1/schema.json"
}

# number MODEL NAME: the first number of this name in its report.
number() {
	sed -n "s/^ *\"$2\": \([-0-9.e]*\),*\$/\1/p" "$1/run.json" | head -n 1
}

@test "getrain monitor: --help and wrong options are answered" {
	answers getrain monitor
	while IFS='|' read -r opt line; do
		expect 2 getrain monitor -O "$opt" -o m </dev/null
		said "getrain: $line"
	done <<-'END'
	far=0|far '0': not a number from 1e-09 to 0.09
	far=0.5|far '0.5': not a number from 1e-09 to 0.09
	far=nan|far 'nan': not a number from 1e-09 to 0.09
	far=x/day|far 'x': not a number from 1e-09 to 1e+09
	far=1/hour|far '1/hour': not a number from 1e-09 to 0.09
	lags=9|lags '9': not a number from 0 to 8
	modes=0|modes '0': not a number from 1 to 4
	hinges=maybe|hinges 'maybe': not no or yes
	hold=0.6|hold '0.6': not a number from 0 to 0.5
	rows=5|rows '5': not a range like 1-500
	rows=0-5|rows '0-5': not a range like 1-500
	rows=9-5|rows '9-5': not a range like 1-500
	rows=-5|rows '-5': not a range like 1-500
	rows=1-99999999999999999999|rows '1-99999999999999999999': not a range like 1-500
	nominal=|-O 'nominal=': its value is missing
	gco2=-1|gco2 '-1': not a number from 0 to 1000000
	seed=3|-O 'seed=3': no such option
	END
	[ -z "$(ls -A)" ]
}

@test "getrain monitor: the same bytes whatever -j and whatever the processor has" {
	for j in 1 2 5; do
		for cpu in '' noavx512 portable; do
			GE_CPU=$cpu learn -j $j -o m "$nominal"
			same m
			rm -r m
		done
	done
	learn -O far=0.01 -o m "$nominal"
	fails same m
}

@test "getrain monitor: the same bytes from a pipe, compressed, in pieces" {
	learn -o m <"$nominal"
	same m
	gzip -k <"$nominal" >n.csv.gz
	learn -o n n.csv.gz
	same n
	tr ',' ';' <"$nominal" | awk '{ printf "%s\r\n", $0 }' >o.csv
	tar c o.csv | learn -o o
	same o
	# Another order of columns is another order of variables, no other model.
	awk -F , -v OFS=, '{ print $6, $1, $2, $3, $4, $5 }' "$nominal" |
	    learn -o p
	[ "$(number p limit)" != '' ]
}

@test "getrain monitor: the folder, and a tar of the same without -o" {
	[ "$(ls "$base" | xargs)" = \
	    'README.md monitor.safetensors run.json schema.json' ]
	learn "$nominal" >m.tar
	[ "$(tar tf m.tar | sort | xargs)" = \
	    'model/README.md model/monitor.safetensors model/run.json model/schema.json' ]
	learn "$nominal" | gefrag -d store
	gejoin -q store | tar x
	same model
	gepredict -q model "$marked" | awk 'END { exit NR < 150 }'
	learn "$nominal" >/dev/full 2>"$err" || [ $? -eq 1 ]
	told 'No space left'
}

@test "getrain monitor: what exists stays, unless forced" {
	learn -o m "$nominal"
	expect 2 learn -O far=0.01 -o m "$nominal"
	said "getrain: 'm' exists (-f overwrites it)"
	same m
	learn -f -O far=0.01 -o m "$nominal"
	fails same m
	[ -z "$(ls -A | grep -vx m)" ]
	mkdir mine
	echo precious >mine/thesis
	expect 2 learn -f -o mine "$nominal"
	said "getrain: 'mine' is no model: not replaced"
	grep -q precious mine/thesis
}

@test "getrain monitor: what is told, and what the report holds" {
	expect 0 getrain monitor -O time=time -O nominal=bad:0 -O gco2=50 \
	    -O digest=abc -o m "$nominal" "$marked" || true
	told "no column 'bad'"
	expect 0 getrain monitor -O time=time -O nominal=bad:0 -O gco2=50 \
	    -O rows=1-150 -O digest=abc -o m "$marked"
	told '400 rows, 199 nominal, 5 variables'
	for w in constant 'linear, static' 'linear, dynamic' this; do
		grep -q "^getrain: $w: false alarms [0-9]* of 49 rows .* a day, detected [0-9.]* %, F1 [0-9.]*, .* s, .* J\$" "$err"
	done
	told ' g of CO2'
	python3 - <<-'END'
	import json, struct
	r = json.load(open('m/run.json'))
	assert r['family'] == 'monitor' and r['data']['set_digest'] == 'abc'
	d, m, x = r['data'], r['model'], r['result']
	assert (d['rows'], d['nominal'], d['held_out'], d['faulty']) == \
	    (400, 199, 49, 201), d
	assert d['variables'] == 5 and d['columns'] == 7
	assert d['step_seconds'] == 10
	t = x['metrics']
	assert t['nominal_rows'] == 49 and t['faulty_rows'] == 201
	assert t['faults'] == 1 and t['faults_found'] == 1
	assert t['detected'] > 0.9 and t['f1'] > 0.9
	assert abs(t['false_alarms_a_day'] - t['false_alarm_rate'] * 8640) < 1e-3
	assert [b['name'] for b in x['baselines']] == \
	    ['constant', 'linear, static', 'linear, dynamic']
	assert x['baselines'][0]['metrics']['detected'] < t['detected']
	assert abs(x['gco2'] - x['joules'] / 3.6e6 * 50) < 1e-6 * x['gco2']
	s = json.load(open('m/schema.json'))
	assert s['getools'] == 1 and s['family'] == 'monitor'
	assert [c['role'] for c in s['columns']] == \
	    ['time'] + 5 * ['input'] + ['mark']
	assert s['monitor']['step'] == 10 and s['monitor']['far'] == 0.001
	b = open('m/monitor.safetensors', 'rb').read()
	h = json.loads(b[8:8 + struct.unpack('<Q', b[:8])[0]])
	assert h['centre']['shape'] == [2, 5] and h['bound']['shape'] == [1]
	END
	grep -q '^# A monitor of 5 variables' m/README.md
	grep -q '^| linear, dynamic | ' m/README.md
	grep -q '^| this | ' m/README.md
	[ "$(wc -l <m/README.md)" -gt 30 ]
}

@test "getrain monitor: -t says what it takes, and learns nothing" {
	expect 0 learn -t -o m "$nominal"
	[ "$(cut -f 1 "$out" | xargs)" = \
	    '#part table models products samples' ]
	said
	[ "$(awk -F '\t' '$1 == "table" { print $2 }' "$out")" -ge 60000 ]
	[ -z "$(ls -A)" ]
	expect 0 getrain monitor -t "$nominal"
	grep -q ' of memory; about .* J (' "$err"
}

@test "getrain monitor: each option acts" {
	# Lags, hinges and modes are tried no further than is said.
	learn -O lags=0 -o m "$nominal"
	[ "$(number m lags)" = 0 ]
	[ "$(number "$base" lags)" -gt 0 ]
	awk 'BEGIN { srand(3); print "a,b,c"; for (i = 0; i < 900; i++) {
	    a = rand() * 4 - 2; b = a < 0 ? -a : a
	    printf "%f,%f,%f\n", a, b + 0.1 * rand(), rand() } }' >bent.csv
	getrain monitor -q -o n bent.csv
	grep -q '"hinges": true' <(sed '1,/"model"/d' n/run.json)
	getrain monitor -q -O hinges=no -o o bent.csv
	fails grep -q '"hinges": true' o/run.json
	awk 'BEGIN { srand(4); print "a,b,c"; for (i = 0; i < 1200; i++) {
	    if (rand() < 0.03) m = !m
	    x = rand(); y = rand()
	    printf "%f,%f,%f\n", x + 30 * m, y - 40 * m, x - y + rand() } }' >modes.csv
	getrain monitor -q -O lags=0 -o p modes.csv
	getrain monitor -q -O lags=0 -O modes=1 -o q modes.csv
	[ "$(sed '1,/"model"/d' q/run.json | grep '"modes"')" = '    "modes": 1,' ]
	# A rate a day is one a row by the time between rows.
	learn -O far=8.64/day -o r "$nominal"
	same r
	expect 2 getrain monitor -O far=1/day -o s "$nominal"
	said 'getrain: -O far=1/day needs the times of the rows: -O time=column'
	# Columns.
	learn -O skip=level,5 -O skip=time -o s "$nominal" 2>"$err" || true
	learn -O skip=level,speed -o s "$nominal"
	[ "$(grep -c '"role": "input"' s/schema.json)" -eq 3 ]
	learn -O only=flow,pressure-pressure -o t "$nominal" 2>"$err" || true
	learn -O only=2,4-5 -o u "$nominal"
	[ "$(grep -c '"role": "input"' u/schema.json)" -eq 3 ]
	grep -q '"role": "time"' u/schema.json
	# What is held out.
	learn -O hold=0 -o v "$nominal"
	same v
	fails grep -q '"metrics"' v/run.json
	learn -O hold=0.5 -o w "$nominal"
	same w
	[ "$(number w held_out)" = 750 ]
}

@test "getrain monitor: rows that are not nominal are never learnt from" {
	# The same rows, once marked, once cut out.
	learn -O nominal=bad:0 -O hold=0 -o m "$marked"
	head -n 200 "$marked" | cut -d , -f 1-6 | learn -O hold=0 -o n
	cmp m/monitor.safetensors n/monitor.safetensors
	learn -O rows=1-199 -O skip=bad -O hold=0 -o o "$marked"
	cmp o/monitor.safetensors n/monitor.safetensors
	# By a number, and by a word.
	learn -O nominal=bad:0.0 -O hold=0 -o p "$marked"
	cmp p/monitor.safetensors n/monitor.safetensors
	sed -e 's/,0$/,fine/' -e 's/,1$/,off/' "$marked" >words.csv
	learn -O nominal=bad:fine -O hold=0 -o q words.csv
	cmp q/monitor.safetensors n/monitor.safetensors
	expect 2 learn -O nominal=bad -O hold=0 -o r words.csv
	said "getrain: no row whose 'bad' is '1'"
	expect 2 learn -O nominal=bad:7 -O hold=0 -o r "$marked"
	said "getrain: no row whose 'bad' is '7'"
	expect 2 learn -O nominal=bad -o r "$nominal"
	told "'bad'"
	expect 2 learn -O rows=500-600 -O skip=bad -o r "$marked"
	said 'getrain: rows 500-600: there are 400'
	expect 2 learn -O rows=100-9999 -O skip=bad -o r "$marked"
	said 'getrain: rows 100-9999: there are 400'
}

@test "getrain monitor: machines whose rows are mixed do not follow each other" {
	process 700 3 | sed -e '1s/^/unit,/' -e '2,$s/^/north,/' >north.csv
	process 700 4 | sed -e '1s/^/unit,/' -e '2,$s/^/south,/' >south.csv
	{
		cat north.csv
		sed 1d south.csv
	} >one.csv
	{
		head -n 1 north.csv
		paste -d '\n' <(sed 1d north.csv) <(sed 1d south.csv)
	} >mixed.csv
	learn -O group=unit -o m one.csv
	learn -O group=unit -o n mixed.csv
	same m n
	learn -O skip=unit -o o mixed.csv
	fails same o m
	python3 - <<-'END'
	import json
	r = json.load(open('n/run.json'))
	assert r['data']['groups'] == 2
	g = r['result']['groups']['unit']
	assert [x['name'] for x in g] == ['north', 'south']
	assert [x['metrics']['nominal_rows'] for x in g] == [140, 140]
	both = sum(x['metrics']['false_alarm_rate'] for x in g) / 2
	assert abs(both - r['result']['metrics']['false_alarm_rate']) < 1e-6
	END
	grep -q '^| north | 140 |' n/README.md
}

@test "getrain monitor: what cannot be a variable is left out, in a line" {
	awk '{ s = NR % 2 ? "7,,a" : "7,,b" }
	    { print $0 "," (NR == 1 ? "still,empty,word" : s) }' "$nominal" >in.csv
	expect 0 getrain monitor -O time=time -o m in.csv
	[ "$(grep -c 'left out' "$err")" -eq 2 ]
	told "left out, as words or times: 'word'"
	told "left out, as constant, missing or beyond 1e30: 'still', 'empty'"
	cmp m/monitor.safetensors "$base/monitor.safetensors"
	[ "$(grep -c '"role": "none"' m/schema.json)" -eq 3 ]
	# A model does not ask for them.
	gepredict -q m "$marked" >/dev/null
	# One cell that is no number: where it is.
	awk -F , -v OFS=, 'NR == 51 { $3 = "ERR" } { print }' "$nominal" >bad.csv
	expect 0 getrain monitor -O time=time -o n bad.csv
	told "left out, as words or times: 'temp' (numbers but for 'bad.csv:51:28': 'ERR')"
	awk -F , -v OFS=, 'NR == 51 { $1 = "later" } { print }' "$nominal" >bad.csv
	sed 's/^[0-9T:-]*,/9,/' bad.csv >worse.csv
	expect 2 getrain monitor -O time=time -o o worse.csv
	said "getrain: column 'time': neither times of ISO 8601 nor numbers: 'worse.csv:51:1': 'later'"
	# Numbers that are no measurements, and a level with one spike.
	awk -F , 'NR == 1 { print "flow,huge,tiny,spike"; next }
	    { print $2 ",1" NR "e35,1" NR "e-37," (NR == 700 ? 6 : 5) }' \
	    "$nominal" >odd.csv
	expect 0 getrain monitor -o p odd.csv
	told "left out, as constant, missing or beyond 1e30: 'huge', 'tiny'"
	told "not watched, since these rows do not tell how they spread: 'spike'"
}

@test "getrain monitor: few rows are said to be few, and why nothing is measured" {
	head -n 91 "$nominal" >in.csv
	expect 0 getrain monitor -O time=time -O hold=0 -o m in.csv
	told '90 nominal rows are few for 5 variables: there may be more than 0.001 false alarms a row'
	told 'nothing was held out to measure on: -O hold='
	head -n 71 "$nominal" >in.csv
	expect 0 getrain monitor -O time=time -o n in.csv
	told 'nothing was held out to measure on: too few nominal rows'
}

@test "getrain monitor: run.json has the options that say which data" {
	sed -e '1s/$/,y,w/' -e '2,$s/$/,3,1/' "$nominal" >in.csv
	learn -O target=y -O weight=w -O skip=level,5 -O only=1-5,speed \
	    -O header=yes -O sep=comma -o m in.csv
	python3 - <<-'END'
	import json
	o = json.load(open('m/run.json'))['options']
	assert o['target'] == 'y' and o['weight'] == 'w', o
	assert o['skip'] == ['level', '5'] and o['only'] == ['1-5', 'speed']
	assert o['header'] == 'yes' and o['sep'] == 'comma'
	assert o['time'] == 'time'
	END
}

@test "getrain monitor: bad input costs a line, and leaves nothing" {
	local i=0
	bad() {
		printf "$3" >in.csv
		expect "$1" getrain monitor -O time=time -o m in.csv
		[ "$(wc -l <"$err")" -eq 1 ]
		told "$2"
		[ ! -e m ]
		[ "$(ls -A)" = in.csv ]
	}
	bad 2 'in.csv' ''
	bad 2 'a header and no rows' 'time,a,b\n'
	bad 5 "'in.csv:3:" 'time,a,b\n1,2,3\n2,3\n'
	bad 5 "'in.csv:2:" 'time,a,b\n1,2,"3\n'
	bad 5 "'in.csv:1:" 'time,a,a\n1,2,3\n'
	bad 5 "'in.csv:2:" 'time,a,b\n1,2,\0\n'
	bad 5 'a point stands before decimals' 'time;a;b\n1;1,5;2\n2;1,6;3\n'
	bad 2 "'time'" 'a,b\n1,2\n'
	printf 'time,a,b\n1,2,3\n' >in.csv
	expect 2 getrain monitor -q -O time=time -o m in.csv
	[ "$(wc -l <"$err")" -eq 1 ]
	awk 'BEGIN { print "time,a,b"; for (i = 0; i < 63; i++)
	    print i "," i % 7 "," i % 5 }' >in.csv
	expect 2 getrain monitor -q -O time=time -o m in.csv
	said 'getrain: 63 rows of nominal operation: 64 are needed at least'
	awk 'BEGIN { print "time,a"; for (i = 0; i < 200; i++)
	    print i ",5" }' >in.csv
	expect 2 getrain monitor -q -O time=time -o m in.csv
	said 'getrain: no column of numbers that change in nominal rows'
	expect 2 getrain monitor -o m nothing
	said "getrain: cannot open 'nothing': No such file or directory"
	expect 2 getrain monitor -o m .
	expect 2 getrain monitor -O time=when -o m "$nominal"
	told "'when'"
	expect 2 getrain monitor -O skip=speeed -o m "$nominal"
	told "'speeed'"
	head -c 100000 /dev/urandom >in.csv
	expect 5 getrain monitor -o m in.csv
	[ "$(wc -l <"$err")" -eq 1 ]
	[ "$(ls -A)" = in.csv ]
}

@test "getrain monitor: NaN, Inf and the largest numbers are lived with" {
	awk -F , -v OFS=, 'NR % 50 == 7 { $3 = "NaN" } NR % 70 == 9 { $4 = "" }
	    NR == 300 { $5 = "1e308" } NR == 301 { $5 = "-1e308" }
	    NR == 400 { $2 = "inf" } { print }' "$nominal" >in.csv
	expect 0 learn -o m in.csv
	said
	gepredict -q m "$marked" | awk 'END { exit NR < 150 }'
}

@test "getrain monitor: times that run backwards are said once" {
	{
		cat "$nominal"
		sed 1d "$nominal"
		sed 1d "$nominal"
	} >in.csv
	expect 0 getrain monitor -O time=time -o m in.csv
	told "row 1501: 'time' runs backwards, 2 times in all"
}

@test "getrain monitor: rows that do not follow each other, and times that miss" {
	{
		head -n 1 "$nominal"
		sed 1d "$nominal" | tac
	} >down.csv
	expect 2 getrain monitor -q -O time=time -o m down.csv
	said 'getrain: of 1500 rows of nominal operation 0 follow two others: too few to learn from, or not in the order of time'
	# What has no time follows: the same rows as without any missing.
	awk -F , -v OFS=, 'NR > 1 && NR % 2 { $1 = "" } { print }' \
	    "$nominal" >some.csv
	learn -o m some.csv
	cmp m/monitor.safetensors "$base/monitor.safetensors"
	# Groups of few rows take fewer lags.
	awk -v OFS=, '{ print (NR == 1 ? "lot" : "L" int(NR / 4)), $0 }' \
	    "$nominal" >lots.csv
	learn -O group=lot -O hold=0 -o n lots.csv
	sed '1,/"model"/d' n/run.json | grep -q '"lags": [01],'
}

@test "getrain monitor: SIGUSR1 tells how far, signals leave nothing" {
	mkfifo line
	for sig in HUP:129 TERM:143; do
		env --default-signal=HUP getrain monitor -O time=time -o m \
		    line 2>"$err" 3>&- &
		pid=$!
		exec 8>line
		cat "$nominal" >&8
		kill -USR1 $pid
		until_true grep -q 'getrain: reading' "$err"
		kill -${sig%:*} $pid
		until_true ended $pid || kill -KILL $pid
		status=0
		wait $pid || status=$?
		exec 8>&-
		[ $status -eq ${sig#*:} ]
		[ "$(ls -A)" = line ]
		[ -z "$(ls -A "$TMPDIR")" ]
	done
}

@test "getrain monitor: killed at any time, the old model or the new one" {
	learn -o m "$nominal"
	cp -r m old
	learn -O far=0.01 -o new "$nominal"
	local n=0 status
	while [ $((++n)) -lt 200 ]; do
		status=0
		"$GE_BUILD/fault/sysfault" -n $n -k -o hit \
		    "$GE_BUILD/bin/getrain" monitor -q -j 1 -O time=time \
		    -O far=0.01 -f -o m "$nominal" 2>"$err" || status=$?
		[ $status -eq 137 ] || break
		if cmp -s m/monitor.safetensors old/monitor.safetensors; then
			cmp m/run.json old/run.json
		else
			cmp m/monitor.safetensors new/monitor.safetensors
			[ "$(ls m | wc -l)" -eq 4 ]
			rm -r m
			cp -r old m
		fi
	done
	[ $status -eq 0 ] && [ $n -gt 20 ]
	# What the killed ones left, the last one has cleared away.
	[ "$(ls -A | xargs)" = 'hit m new old' ] || ls -A
}

@test "getrain monitor: each system call failing in turn, all of it or nothing" {
	local n=0 status
	[ -z "$GE_SAN" ] || skip 'ptrace and sanitizers do not mix'
	process 200 5 >in.csv
	while [ $((++n)) -lt 300 ]; do
		status=0
		"$GE_BUILD/fault/sysfault" -n $n -e ENOSPC -o ../hit \
		    "$GE_BUILD/bin/getrain" monitor -q -j 1 -O lags=0 -o m \
		    in.csv 2>"$err" || status=$?
		[ -s ../hit ] || break
		rm ../hit
		[ $status -ne 0 ] || [ -e m ]
		[ ! -e m ] || [ "$(ls m | wc -l)" -eq 4 ]
		# What cannot be removed stays.
		rm -rf m .m.*
		[ "$(ls -A)" = in.csv ]
	done
	[ $status -eq 0 ] && [ $n -gt 20 ]
}

@test "getrain monitor: a write that fails leaves nothing" {
	(
		ulimit -f 1
		expect 1 learn -o m "$nominal"
	)
	[ ! -e m ]
	[ -z "$(ls -A)" ]
}

@test "getrain monitor: no memory, said in a line" {
	process 200 5 >in.csv
	local i n=0 status=1
	# Of one allocation nothing depends: memory that is given back early.
	for i in $(seq 1 30) $(seq 31 97 9000); do
		status=0
		GE_FAILALLOC=$i learn -O lags=1 -j 1 -o m in.csv 2>"$err" ||
		    status=$?
		if [ $status -eq 0 ]; then
			rm -r m
			[ "$i" -lt 500 ] || break
			continue
		fi
		[ $status -eq 1 ]
		[ "$(wc -l <"$err")" -eq 1 ]
		grep -q 'out of memory' "$err"
		[ "$(ls -A)" = in.csv ]
		n=$((n + 1))
	done
	[ $status -eq 0 ] && [ $n -gt 40 ]
}

@test "getrain monitor: ge-model(5) has all members of run.json and schema.json" {
	learn -O nominal=bad:0 -O rows=1-150 -O gco2=50 -O digest=abc \
	    -o m "$marked"
	for f in run schema; do
		for n in $(grep -o '"[a-z0-9_-]*":' m/$f.json | tr -d '":' |
		    sort -u); do
			grep -q "^\\.[A-Z].* $n\( \|$\)" \
			    "$GE_TOP/man/ge-model.5" \
			    "$GE_TOP/man/ge-table.5" || echo "$f.json: $n"
		done
	done >missing
	diff /dev/null missing
}
