load helper

# gepredict on a monitor: a process of five variables with two slow causes.

HEADER=$'#row\ttime\talarm\tscore\tlimit\tcauses'

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	process 1500 7 >nominal.csv
	getrain monitor -q -O time=time -o timed nominal.csv
	cut -d , -f 2- nominal.csv >untimed.csv
	getrain monitor -q -o untimed untimed.csv
	process 400 99 200 2 15 >fault.csv
}

# model NAME: timed or untimed, as the folder m; and fault.csv.
model() {
	rm -rf m
	cp -r "$BATS_FILE_TMPDIR/$1" m
	cp "$BATS_FILE_TMPDIR/fault.csv" .
}

# report: what came out is a report: its header, columns, and rows from 1.
report() {
	awk -F '\t' -v header="$HEADER" '
	NR == 1 { bad += $0 != header; next }
	NF != 6 || $1 != NR - 1 || $3 !~ /^[01]$/ || ($3 == 1) != ($6 != "") ||
	    $4 !~ /^[0-9]+(\.[0-9]+)?$/ || ($4 > $5) != $3 { bad++ }
	{
		n = split($6, cause, ",")
		for (i = last = 1; i <= n; i++) {
			bad += cause[i] !~ /^[a-z]+:0\.[0-9]+$/
			sub(/.*:/, "", cause[i])
			bad += cause[i] > last
			last = cause[i]
		}
	}
	END { exit bad != 0 || NR < 2 }' "$out"
}

@test "gepredict monitor: a line a row, the alarm and what is to blame" {
	model timed
	expect 0 gepredict m fault.csv
	said
	report
	[ "$(wc -l <"$out")" -eq 401 ]
	awk -F '\t' 'NR > 1 && NR <= 200 { early += $3 }
	    NR > 205 { late += $3; first += $6 ~ /^temp:/ }
	    END { exit !(early == 0 && late == 196 && first > 190) }' "$out"
	# Times are as they stand there.
	cut -d , -f 1 fault.csv | sed 1d | diff - <(sed 1d "$out" | cut -f 2)
	mv "$out" want
	expect 0 gepredict m <fault.csv
	cmp want "$out"
	expect 0 gepredict -j 1 m - <fault.csv
	cmp want "$out"
}

@test "gepredict monitor: -q gives the alarms alone" {
	model timed
	expect 0 gepredict m fault.csv
	awk -F '\t' 'NR == 1 || $3 == 1' "$out" >want
	expect 0 gepredict -q m fault.csv
	cmp want "$out"
	expect 0 gepredict -q m "$BATS_FILE_TMPDIR/nominal.csv"
	[ "$(wc -l <"$out")" -lt 20 ]
}

@test "gepredict monitor: columns are found by their names" {
	model timed
	gepredict m fault.csv >want
	awk -F , -v OFS=';' '{ print $6, "note " NR, $3, $2, $1, $5, $4 }' \
	    fault.csv >other.csv
	expect 0 gepredict m other.csv
	cmp want "$out"
	tr , '\t' <fault.csv | sed 's/$/\r/' >other.csv
	expect 0 gepredict m other.csv
	cmp want "$out"
	# Names that are there twice are one header, also where the rows begin anew.
	gepredict "$BATS_FILE_TMPDIR/untimed" <(cut -d , -f 2- fault.csv) \
	    <(cut -d , -f 2- fault.csv) >twice
	expect 0 gepredict "$BATS_FILE_TMPDIR/untimed" <(cut -d , -f 2- fault.csv) \
	    <(cut -d , -f 2- fault.csv | sed 1p)
	cmp twice "$out"
	# What tail -f shows has no names.
	sed 1d fault.csv >other.csv
	expect 0 gepredict m other.csv
	cmp want "$out"
	# Names that come again are no row.
	sed '50{
		p
		g
	}
	1h' fault.csv >other.csv
	[ "$(grep -c ^time other.csv)" -eq 2 ]
	expect 0 gepredict m other.csv
	cmp want "$out"
	cut -d , -f 1-5 fault.csv >other.csv
	expect 5 gepredict m other.csv
	said "gepredict: 'other.csv': no column 'speed', which the model reads"
	cut -d , -f 2- fault.csv >other.csv
	expect 5 gepredict m other.csv
	said "gepredict: 'other.csv': no column 'time', which the model reads"
	sed '1s/temp/tmp/' fault.csv >other.csv
	expect 5 gepredict m other.csv
	said "gepredict: 'other.csv': no column 'temp', which the model reads"
}

@test "gepredict monitor: columns that the model does not know are passed over" {
	model timed
	getrain monitor -q -O time=time -O skip=level,pressure -o few \
	    "$BATS_FILE_TMPDIR/nominal.csv"
	expect 0 gepredict few fault.csv
	run ! grep -q 'level\|pressure' "$out"
	mv "$out" want
	cut -d , -f 1-3,6 fault.csv >few.csv
	expect 0 gepredict few few.csv
	cmp want "$out"
	sed 1d fault.csv | expect 0 gepredict few
	cmp want "$out"
	sed 1d few.csv | expect 5 gepredict few
	told "no column 'time', which the model reads"
}

@test "gepredict monitor: values that are missing, and what is none" {
	model timed
	gepredict m fault.csv | head -n 150 >want
	awk -F , -v OFS=, 'NR % 7 == 3 { $4 = "NA" } NR % 11 == 4 { $2 = "" } 1' \
	    fault.csv >gaps.csv
	expect 0 gepredict m gaps.csv
	report
	head -n 150 "$out" | cut -f 3 | diff - <(cut -f 3 want)
	sed '5s/,[^,]*/,/' fault.csv >gaps.csv
	sed '6s/^[^,]*//' gaps.csv >none.csv
	expect 0 gepredict m none.csv
	[ "$(sed -n '6s/\t[01]\t.*//p' "$out")" = $'5\t' ]
	sed '7s/,[^,]*/,hot/' fault.csv >none.csv
	expect 5 gepredict m none.csv
	said "gepredict: 'none.csv:7:21': 'hot' where column 'flow' has numbers"
	[ "$(wc -l <"$out")" -eq 6 ]
	sed '7s/$/,1/' fault.csv >none.csv
	expect 5 gepredict m none.csv
	told "'none.csv:7:"
	sed '7s/^[^,]*/noon/' fault.csv >none.csv
	expect 5 gepredict m none.csv
	told "'none.csv:7:1': 'noon' where column 'time' has times"
	expect 2 gepredict m /dev/null
	expect 0 gepredict m <(head -n 1 fault.csv)
	[ "$(cat "$out")" = "$HEADER" ]
	expect 2 gepredict m gone.csv
	told "cannot open 'gone.csv'"
}

@test "gepredict monitor: what follows a gap or runs backwards starts anew" {
	local n
	model timed
	gepredict m fault.csv >want
	# Behind a gap there are as many rows without a score as at the beginning.
	n=$(awk -F '\t' 'NR > 1 && $4 == 0 { n++ } NR > 1 && $4 > 0 { exit }
	    END { print n }' want)
	[ "$n" -ge 1 ]
	sed '100,140d' fault.csv >gap.csv
	expect 0 gepredict m gap.csv
	[ "$(sed -n 100p "$out" | cut -f 4)" = 0 ]
	# One of five steps is none.
	sed '100,103d' fault.csv >gap.csv
	expect 0 gepredict m gap.csv
	[ "$(sed -n 100p "$out" | cut -f 4)" != 0 ]
	sed '100,104d' fault.csv >gap.csv
	expect 0 gepredict m gap.csv
	[ "$(sed -n 100p "$out" | cut -f 4)" = 0 ]
	(sed '101,$d' fault.csv; sed '1,50d' fault.csv) >back.csv
	expect 0 gepredict m back.csv
	[ "$(sed -n 101p "$out" | cut -f 4)" = 0 ]
}

@test "gepredict monitor: several tables are one input" {
	model timed
	gepredict m fault.csv >want
	sed '121,$d' fault.csv >a.csv
	(sed -n 1p fault.csv; sed '1,120d' fault.csv) >b.csv
	expect 0 gepredict m a.csv b.csv
	cmp want "$out"
	expect 0 gepredict m - b.csv <a.csv
	cmp want "$out"
	tar czf both.tar.gz a.csv b.csv
	expect 0 gepredict m both.tar.gz
	cmp want "$out"
	# Without times the second is another run, whatever the first ended in.
	model untimed
	cut -d , -f 2- fault.csv >c.csv
	cut -d , -f 2- a.csv >d.csv
	gepredict m d.csv | sed 1d | cut -f 3- >want
	expect 0 gepredict m c.csv d.csv
	[ "$(sed -n 401p "$out" | cut -f 3)" = 1 ]
	sed '1,401d' "$out" | cut -f 3- | diff want -
	expect 0 gepredict -O format=text m c.csv d.csv
	grep -q '^row 401 end of drift since ' "$out"
}

@test "gepredict monitor: rows behind a stop are of another run" {
	model timed
	process 150 99 | sed '1d; s/^2024-03-01/2024-03-02/' >healthy
	(sed -n 1p fault.csv; cat healthy) >alone.csv
	cat fault.csv healthy >stop.csv
	gepredict m alone.csv | sed 1d | cut -f 2- >want
	expect 0 gepredict m stop.csv
	[ "$(sed -n 401p "$out" | cut -f 3)" = 1 ]
	sed '1,401d' "$out" | cut -f 2- | diff want -
}

@test "gepredict monitor: a model of a table without names" {
	cut -d , -f 2- "$BATS_FILE_TMPDIR/nominal.csv" | sed '1d; s/,/  /g' >n.dat
	cut -d , -f 2- "$BATS_FILE_TMPDIR/fault.csv" | sed '1d; s/,/  /g' >f.dat
	getrain monitor -q -o m n.dat
	expect 0 gepredict m f.dat
	[ "$(sed 1d "$out" | awk -F '\t' '$6 ~ /^2:/' | wc -l)" -gt 190 ]
	mv "$out" want
	# Times are words in its first row.
	sed '1d; s/,/;/g' "$BATS_FILE_TMPDIR/nominal.csv" >n.dat
	sed '1d; s/,/;/g' "$BATS_FILE_TMPDIR/fault.csv" >f.dat
	getrain monitor -q -O header=no -O time=1 -o t n.dat
	expect 0 gepredict t f.dat
	[ "$(cut -f 1,3 "$out")" = "$(cut -f 1,3 want)" ]
	sed -n 400p f.dat >one
	expect 0 gepredict -O sep=semicolon t <one
	[ "$(wc -l <"$out")" -eq 2 ]
}

@test "gepredict monitor: machines in turns, each by itself" {
	local k
	for k in 1 2 3; do
		process 700 $((k * 31)) >m$k.csv
		process 300 $((k * 57)) $((k == 2 ? 150 : 0)) 3 -3 >t$k.csv
	done
	# turns NAME: the rows of three machines in turns, the last quarter without 1.
	turns() {
		paste -d '\n' <(sed 's/,/,saw,/' "$1"1.csv) \
		    <(sed 's/,/,lathe 2,/' "$1"2.csv) \
		    <(sed 's/,/,drill,/' "$1"3.csv) | sed '1s/saw/machine/; 2,3d'
	}
	turns m >nominal.csv
	turns t >both.csv
	getrain monitor -q -O time=time -O group=machine -o m nominal.csv
	expect 0 gepredict m both.csv
	[ "$(head -n 1 "$out")" = "$HEADER"$'\tgroup' ]
	# Numbers that are the same are one group, as where it was learnt.
	for k in 7 7.0; do
		sed "s/,/,$k,/; 1s/,$k,/,machine,/" "$BATS_FILE_TMPDIR/nominal.csv"
	done | awk -F , 'NR == 1 || $1 != "time"' >seven.csv
	for k in 7 7.0 07; do
		[ $k != 7 ] || getrain monitor -q -O time=time \
		    -O group=machine -o m7 seven.csv
		sed "2,\$ { 3~2s/,/,7,/; t; s/,/,$k,/ }; 1s/,/,machine,/" \
		    "$BATS_FILE_TMPDIR/fault.csv" >one.csv
		expect 0 gepredict m7 one.csv
		cut -f 1-6 "$out" >one.$k
		cmp one.7 one.$k
	done
	[ "$(sed -n 2p "$out" | cut -f 7)" = 07 ]
	expect 0 gepredict m both.csv
	mv "$out" all
	for k in 1 2 3; do
		sed "s/,/,$k,/; 1s/,1,/,machine,/; 1s/,[23],/,machine,/" t$k.csv \
		    >alone.csv
		expect 0 gepredict m alone.csv
		awk -v k=$k 'NR > 1 && (NR - 2) % 3 == k - 1' all |
		    cut -f 2-6 | diff - <(sed 1d "$out" | cut -f 2-6)
	done
	grep -q $'\tlathe%202$' all
	# Only that one is off, and a sentence says which.
	expect 0 gepredict -q m both.csv
	[ "$(grep -c $'\tlathe%202$' "$out")" -gt 140 ]
	[ "$(grep -vc $'\tlathe%202$' "$out")" -lt 10 ]
	expect 0 gepredict -O format=text m both.csv
	grep -q '^2024-03-01T00:[0-9:]* lathe%202 drift since .* first pressure -' \
	    "$out"
	expect 0 gepredict -O format=json m both.csv
	grep -q '"group": "lathe 2", "alarm": 1' "$out"
}

@test "gepredict monitor: more machines than are watched" {
	model timed
	(
		sed -n '1s/,/,machine,/p' fault.csv
		for i in 1 2; do
			awk -F , -v OFS=, 'NR == 2 {
				for (k = 0; k < 1500; k++) {
					$1 = $1
					print $1, k, $2, $3, $4, $5, $6
				}
			}' fault.csv
		done
	) >many.csv
	sed '1s/,/,machine,/; 1!s/,/,1,/' "$BATS_FILE_TMPDIR/nominal.csv" >one.csv
	getrain monitor -q -O time=time -O group=machine -o m1 one.csv
	expect 0 gepredict m1 many.csv
	said 'gepredict: more than 1024 groups: what was not seen for longest is forgotten'
	[ "$(wc -l <"$out")" -eq 3001 ]
	expect 0 gepredict -O state=s m1 many.csv
	[ "$(stat -c %s s)" -lt 2000000 ]
}

@test "gepredict monitor: what an operator reads" {
	model timed
	cp fault.csv long.csv
	process 400 99 | sed '1,300d; s/^2024-03-01/2024-03-02/' >>long.csv
	expect 0 gepredict -O format=text m long.csv
	said
	sed -n 1p "$out" | grep -E '^2024-03-01T00:33:30 drift since 00:33:20 limit x[0-9.]+ first temp \+[0-9.]+s( then [a-z]+ [-+][0-9.]+s)*$'
	tail -n 1 "$out" | grep -E '^2024-03-02T00:[0-9:]+ end of drift since 2024-03-01T00:33:20 limit x[0-9.]+ at most$'
	[ "$(grep -c 'end of' "$out")" -eq "$(grep -c ' drift since 00:33' "$out")" ]
	mv "$out" sentences
	# With -v they stand beside the report.
	gepredict m long.csv >want
	expect 0 gepredict -v m long.csv
	cmp want "$out"
	tail -n 1 "$err" | grep -Ex 'gepredict: 501 rows, [0-9]+ rows/s'
	sed 's/^/gepredict: /' sentences | diff - <(sed '$d' "$err")
	# Without times, by rows.
	model untimed
	cut -d , -f 2- fault.csv >rows.csv
	expect 0 gepredict -O format=text m rows.csv
	sed -n 1p "$out" | grep -E '^row 201 drift since row 200 limit x'
}

@test "gepredict monitor: JSON is the report, a row an object" {
	model timed
	gepredict m fault.csv >want
	expect 0 gepredict -O format=json m fault.csv
	python3 - "$out" want <<-'EOF'
	import json, sys
	rows = [json.loads(l) for l in open(sys.argv[1])]
	want = [l.rstrip("\n").split("\t") for l in open(sys.argv[2])][1:]
	assert len(rows) == len(want) == 400
	for r, w in zip(rows, want):
	    assert list(r) == ["row", "time", "alarm", "score", "limit", "causes"]
	    assert [str(r["row"]), r["time"], str(r["alarm"])] == w[:3]
	    assert r["score"] == float(w[3]) and r["limit"] == float(w[4])
	    assert w[5] == ",".join("%s:%g" % (c["name"], c["share"])
	        for c in r["causes"])
	    assert all(c.get("since", 1) <= r["row"] for c in r["causes"])
	    assert all(-1000 < c["spreads"] < 1000 for c in r["causes"])
	EOF
	expect 0 gepredict -q -O format=json m fault.csv
	[ "$(wc -l <"$out")" -eq "$(grep -c $'\t1\t' want)" ]
	model untimed
	cut -d , -f 2- fault.csv >rows.csv
	expect 0 gepredict -O format=json m rows.csv
	[ "$(grep -c '^{"row": [0-9]*, "time": null, ' "$out")" -eq 400 ]
}

@test "gepredict monitor: metrics for Prometheus" {
	model timed
	gepredict m fault.csv >want
	expect 0 gepredict -O format=prometheus m fault.csv
	said
	awk '/^# HELP ge_monitor_[a-z_]+ [A-Z].*\.$/ { help = $3; next }
	    /^# TYPE ge_monitor_[a-z_]+ (gauge|counter)$/ && $3 == help {
		type = $3; next
	    }
	    /^ge_monitor_[a-z_]+ [0-9][-+.e0-9]*$/ && $1 == type {
		n++; next
	    }
	    { exit bad = 1 } END { exit bad || n != 7 }' "$out"
	grep -qx 'ge_monitor_rows_total 400' "$out"
	grep -qx "ge_monitor_alarm_rows_total $(grep -c $'\t1\t' want)" "$out"
	grep -qx 'ge_monitor_alarms 1' "$out"
	[ "$(sed -n 's/^ge_monitor_score //p' "$out" | cut -c 1-6)" = \
	    "$(tail -n 1 want | cut -f 4 | cut -c 1-6)" ]
}

@test "gepredict monitor: names that would break the report are written as %XX" {
	sed -e '1s/flow/"flow, kg:s"/' -e '1s/temp/temp 100%/' \
	    -e '1s/level/débit/' "$BATS_FILE_TMPDIR/nominal.csv" >nominal.csv
	getrain monitor -q -O time=time -o m nominal.csv
	sed "1s/.*/$(sed -n 1p nominal.csv)/" "$BATS_FILE_TMPDIR/fault.csv" \
	    >fault.csv
	expect 0 gepredict m fault.csv
	grep -q ',flow%2C%20kg%3As:0\.' "$out"
	grep -q $'\ttemp%20100%25:0\.' "$out"
	grep -q ',débit:0\.' "$out"
	# So are bytes of a group that no terminal should have.
	sed 's/^/x\xc2\x9bm\xff\xc3\xa9\x1b\x80,/; 1s/^[^,]*/g/' fault.csv >g.csv
	sed '1s/^/g,/; 1!s/^/x,/' nominal.csv >ng.csv
	getrain monitor -q -O time=time -O group=g -o mg ng.csv
	expect 0 gepredict mg g.csv
	[ "$(sed -n 2p "$out" | cut -f 7)" = x%C2%9Bm%FFé%1B%80 ]
	expect 0 gepredict -O format=json m fault.csv
	grep -q '"name": "flow, kg:s", ' "$out"
}

@test "gepredict monitor: each row is answered before the next is asked" {
	local answer pid status=0 i
	model timed
	coproc gepredict m 3>&-
	pid=$COPROC_PID
	head -n 2 fault.csv >&"${COPROC[1]}"
	read -r answer <&"${COPROC[0]}"
	[ "$answer" = "$HEADER" ]
	read -r answer <&"${COPROC[0]}"
	[[ $answer == 1$'\t'2024-03-01T00:00:10$'\t'0$'\t'* ]]
	for ((i = 2; i < 20; i++)); do
		sed -n $((i + 1))p fault.csv >&"${COPROC[1]}"
		read -r answer <&"${COPROC[0]}"
		[[ $answer == $i$'\t'2024-03-01T00:0* ]]
	done
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ $status -eq 143 ]
}

@test "gepredict monitor: killed and resumed, it is one report" {
	local pid status n format
	model timed
	for format in tsv json text; do
		gepredict -O format=$format m fault.csv >want
		rm -f state got in
		n=0
		for to in 3 120 205 230; do
			mkfifo in
			gepredict -O format=$format -O state=state m <in >part 3>&- &
			pid=$!
			exec 8>in
			(sed -n 1p fault.csv; sed -n "$((n + 2)),$((to + 1))p" \
			    fault.csv) >&8
			until_true taken $pid
			kill -TERM $pid
			status=0
			wait $pid || status=$?
			exec 8>&-
			[ $status -eq 143 ]
			cat part >>got
			rm in
			n=$to
		done
		(sed -n 1p fault.csv; sed "1,$((n + 1))d" fault.csv) >rest.csv
		expect 0 gepredict -O format=$format -O state=state m rest.csv
		cat "$out" >>got
		[ $format != tsv ] || sed -i '2,$ { /^#/d }' got
		cmp want got
	done
	[ -z "$(ls -A "$TMPDIR")" ]
}

# taken PID: it waits in poll(2) for more input than there is.
taken() {
	asleep "$1" && [ "$(python3 - 3>&- <<-'EOF'
	import fcntl, struct, termios
	print(struct.unpack("i", fcntl.ioctl(open("in", "rb"), termios.FIONREAD,
	    b"\0\0\0\0"))[0])
	EOF
	)" = 0 ]
}

@test "gepredict monitor: a state is of one model, whole, and never half written" {
	local i size
	model timed
	expect 0 gepredict -O state=s m fault.csv
	tree . >before
	cp s good
	size=$(stat -c %s s)
	for ((i = 0; i < size; i += 97)); do
		cp good s
		flip s $i
		expect 5 gepredict -O state=s m fault.csv
		[ "$(wc -l <"$err")" -eq 1 ]
		[ ! -s "$out" ]
	done
	for i in 0 1 7 100 $((size - 1)); do
		head -c "$i" good >s
		expect 5 gepredict -O state=s m fault.csv
		told "gepredict: 's': "
	done
	cp good s
	sed -i 's/"far": 0.001/"far": 0.002/' m/schema.json
	expect 5 gepredict -O state=s m fault.csv
	said "gepredict: 's': the state of another model"
	cmp s good
	model timed
	# A run that fails leaves the state as it was.
	sed '2s/,/,x/' fault.csv >bad.csv
	expect 5 gepredict -O state=s m bad.csv
	cmp s good
	expect 1 bash -c 'gepredict -O state=s m fault.csv >/dev/full'
	cmp s good
	rm bad.csv
	tree . | grep -v ' \./\(good\|before\)$' >"$TMPDIR/after"
	grep -v ' \./before$' before | diff - "$TMPDIR/after"
}

@test "gepredict monitor: a row that is refused costs none before it" {
	model timed
	gepredict m fault.csv >want
	sed '300s/,/,x/' fault.csv >bad.csv
	expect 5 gepredict -O state=s m bad.csv
	[ "$(wc -l <"$out")" -eq 299 ]
	cp "$out" got
	(sed -n 1p fault.csv; sed '1,299d' fault.csv) >rest.csv
	expect 0 gepredict -O state=s m rest.csv
	sed 1d "$out" >>got
	cmp want got
}

@test "gepredict monitor: a sensor that is lost is told, and that it is back" {
	model timed
	cp "$BATS_FILE_TMPDIR/nominal.csv" .
	awk -F , -v OFS=, 'NR > 11 && NR < 262 { $2 = "" }
	    NR > 311 && NR < 413 { $3 = $4 = $5 = $6 = "NA" }
	    NR == 301 { $2 = $3 = $4 = $5 = $6 = "" } NR < 452' nominal.csv >lost.csv
	expect 0 gepredict m lost.csv
	said "gepredict: $(sed -n 111p lost.csv | cut -d , -f 1): no value for 100 rows: flow
gepredict: $(sed -n 262p lost.csv | cut -d , -f 1): values again behind 100 rows and more: flow
gepredict: $(sed -n 411p lost.csv | cut -d , -f 1): no value for 100 rows: temp pressure level speed
gepredict: $(sed -n 413p lost.csv | cut -d , -f 1): values again behind 100 rows and more: temp pressure level speed"
	# Where nothing is there, there is no score.
	[ "$(awk -F '\t' 'NR > 1 && $4 == "" { print NR }' "$out")" = 301 ]
	expect 0 gepredict -q m lost.csv
	said
	expect 0 gepredict -q -O format=json m <(sed -n '1p; 301p' lost.csv)
	[ ! -s "$out" ]
	expect 0 gepredict -O format=json m <(sed -n '1p; 301p' lost.csv)
	grep -q '"alarm": 0, "score": null, ' "$out"
	expect 0 gepredict -q -O format=prometheus m <(sed 412q lost.csv)
	grep -qx 'ge_monitor_missing 4' "$out"
	# From one run to the next.
	sed 80q lost.csv >a.csv
	(sed -n 1p lost.csv; sed '1,80d; 120q' lost.csv) >b.csv
	expect 0 gepredict -O state=s m a.csv
	said
	expect 0 gepredict -O state=s m b.csv
	told 'no value for 100 rows: flow'
}

@test "gepredict monitor: nothing is reported of a table that is refused" {
	local format
	model timed
	cut -d , -f 1-5 fault.csv >bad.csv
	for format in tsv json prometheus; do
		expect 5 gepredict -O format=$format m bad.csv
		[ ! -s "$out" ]
		expect 5 gepredict -O format=$format m <(sed '2s/,/,x/' fault.csv)
		[ ! -s "$out" ]
	done
	# But of those before it.
	expect 5 gepredict m fault.csv bad.csv
	[ "$(wc -l <"$out")" -eq 401 ]
}

@test "gepredict monitor: where no state can be is told at once" {
	model timed
	expect 2 gepredict -O state= m fault.csv
	said 'gepredict: state: which file?'
	expect 2 gepredict -O state=/dev/null m fault.csv
	said "gepredict: state '/dev/null': not a plain file"
	[ ! -s "$out" ]
	expect 1 gepredict -O state=no/s m fault.csv
	told "cannot create 'no/s'"
	[ ! -s "$out" ]
	expect 1 gepredict -O state=/ m fault.csv
	[ ! -s "$out" ]
}

@test "gepredict monitor: options that are of others, or of none" {
	model timed
	expect 2 gepredict -O format=xml m fault.csv
	said "gepredict: format 'xml': not tsv, json, prometheus or text"
	expect 2 gepredict -O temperature=0 m fault.csv
	said "gepredict: -O 'temperature=0': not with a model that has 'monitor.safetensors'"
	expect 2 gepredict -O sate=x m fault.csv
	said "gepredict: -O 'sate=x': no such option"
	expect 2 gepredict -O header=maybe m fault.csv
}

@test "gepredict monitor: a damaged model is refused" {
	local i size
	model timed
	size=$(stat -c %s m/monitor.safetensors)
	for ((i = 0; i < size; i += 211)); do
		head -c "$i" "$BATS_FILE_TMPDIR/timed/monitor.safetensors" \
		    >m/monitor.safetensors
		expect 5 gepredict m fault.csv
		[ "$(wc -l <"$err")" -eq 1 ]
		told "'m/monitor.safetensors': "
		[ ! -s "$out" ]
	done
	model timed
	cp m/schema.json schema
	for s in 's/"getools": 1/"getools": 2/' 's/"input"/"output"/' \
	    's/"family": "monitor"/"family": "trees"/' '1s/./[/' 's/"temp"/"flow"/' \
	    '0,/"input"/s/"input"/"none"/' 's/$/\x0/' '$d'; do
		sed "$s" schema >m/schema.json
		expect 5 gepredict m fault.csv
		[ "$(wc -l <"$err")" -eq 1 ]
		[ ! -s "$out" ]
	done
	# What a monitor cannot have as inputs, and no step or a bad one.
	sed '0,/"type": "number"/s//"type": "category"/' schema >m/schema.json
	expect 5 gepredict m fault.csv
	said "gepredict: 'm/schema.json': input 'flow' is no number"
	for s in 's/"step"/"stop"/' 's/"step": [0-9.]*/"step": -1/' \
	    's/"step": [0-9.]*/"step": "10"/' 's/"monitor": {/"moni": {/'; do
		sed "$s" schema >m/schema.json
		run ! cmp -s schema m/schema.json
		expect 5 gepredict m fault.csv
		said "gepredict: 'm/schema.json': no step of a monitor"
	done
	: >m/schema.json
	expect 5 gepredict m fault.csv
	(cat schema; head -c $((16 << 20)) /dev/zero | tr '\0' ' ') \
	    >m/schema.json
	expect 5 gepredict m fault.csv
	said "gepredict: 'm/schema.json' is too long: more than 16777216 bytes"
	rm m/schema.json
	expect 2 gepredict m fault.csv
	told "'m/schema.json'"
}

@test "gepredict monitor: closed and full descriptors are errors" {
	model timed
	expect 1 bash -c 'gepredict m fault.csv >/dev/full'
	said 'gepredict: output: cannot write: No space left on device'
	expect 1 bash -c 'gepredict -O format=prometheus m fault.csv >/dev/full'
	expect 1 bash -c 'gepredict m fault.csv >&-'
	expect 1 bash -c 'gepredict m <&-'
	for ((i = 0; i < 30; i++)); do
		sed 1d fault.csv
	done >many.csv
	gepredict m many.csv 2>"$err" | head -c 1 >"$out" &&
	    status=("${PIPESTATUS[@]}")
	[ "${status[*]}" = '1 0' ]
	said 'gepredict: output: cannot write: Broken pipe'
	heeds gepredict m many.csv
	# Rows that nobody took are not in a state.
	heeds gepredict -O state=s m many.csv
	[ ! -e s ]
	told "'s': not saved: nobody took the report"
}

@test "gepredict monitor: the same report on any processor" {
	local cpu
	model timed
	gepredict m fault.csv >want
	for cpu in portable avx2 avx512; do
		GE_CPU=$cpu expect 0 gepredict m fault.csv
		cmp want "$out"
	done
}

@test "gepredict monitor: without memory it fails with a word" {
	local i status n=0
	model timed
	head -n 210 fault.csv | tail -n 20 >in
	gepredict -O format=json m in >want
	for ((i = 1; i < 2000; i++)); do
		status=0
		rm -f s
		GE_FAILALLOC=$i gepredict -v -O state=s -O format=json m in \
		    >"$out" 2>"$err" || status=$?
		[ $status -ne 0 ] || break
		[ $status -eq 1 ]
		told 'out of memory'
		n=$i
	done
	[ "$n" -gt 50 ]
	cmp want "$out"
}
