load helper

# table ROWS: numbers a, b, a category c, one with gaps d, and what follows of them.
table() {
	awk -v n="$1" 'BEGIN {
		srand(1)
		print "a,b,c,d,y,z"
		for (i = 0; i < n; i++) {
			a = int(1000 * rand()) / 1000
			b = int(1000 * rand()) / 1000
			c = int(3 * rand())
			v = a * b + c / 8 + rand() / 20
			print a "," b ",w" c "," (i % 7 ? rand() : "") "," \
			    (v > 0.45 ? "yes" : "no") "," v
		}
	}'
}

# learn OPTION ...: few rounds, one thread.
learn() {
	getrain trees -j1 -q -O rounds=20 -O folds=3 "$@"
}

# member FILE EXPRESSION: of a JSON file.
member() {
	python3 -c 'import json, sys
print(eval(sys.argv[2], {"j": json.load(open(sys.argv[1]))}))' "$@"
}

# wide COLUMNS ROWS: numbers x1 ..., and y that follows of them.
wide() {
	awk -v q="$1" -v n="$2" 'BEGIN {
		srand(7)
		for (j = 1; j <= q; j++)
			printf "x%d,", j
		print "y"
		for (i = 0; i < n; i++) {
			for (j = 1; j <= q; j++) {
				x[j] = rand()
				printf "%.4f,", x[j]
			}
			print x[1] * x[2] + x[3] + rand() / 9
		}
	}'
}

# again MODEL TABLE: do the options of its run.json give the same trees?
again() {
	local -a options

	mapfile -t options < <(python3 -c 'import json, sys
for k, v in json.load(open(sys.argv[1]))["options"].items():
    for w in v if isinstance(v, list) else [v]:
        if not isinstance(w, dict):
            print("-O", k if w is True else "%s=%s" % (k, w), sep="\n")
' "$1/run.json")
	getrain trees -q -f -O folds=0 "${options[@]}" -o again "$2"
	cmp "$1/model.json" again/model.json
}

@test "getrain trees: a model of classes, its files and what is told" {
	table 600 >t.csv
	expect 0 getrain trees -j1 -O target=y -O skip=z -O rounds=40 -o m <t.csv
	[ ! -s "$out" ]
	told "getrain: 600 rows, 4 inputs, 2 classes ('no' ... 'yes')"
	told 'getrain: constant: log loss '
	told 'getrain: linear: log loss '
	told 'getrain: trees: log loss '
	told 'at 90 %: held '
	diff - <(cd m && ls) <<-'END'
	README.md
	model.json
	run.json
	schema.json
	END
	[ "$(member m/schema.json 'j["trees"]["classes"]')" = "['no', 'yes']" ]
	[ "$(member m/run.json 'j["result"]["metrics"]["auc"] > 0.95')" = True ]
	[ "$(member m/run.json '[b["name"] for b in j["result"]["baselines"]]')" = \
	    "['constant', 'linear']" ]
	grep -q '^By c:$' m/README.md
}

@test "getrain trees: XGBoost itself loads the model" {
	table 300 >t.csv
	learn -O target=z -O skip=y,c -O folds=0 -o m t.csv
	/usr/bin/python3 -c 'import xgboost' || skip 'no python3-xgboost'
	[ "$(/usr/bin/python3 -c '
import xgboost as xgb
b = xgb.Booster(model_file="m/model.json")
d = xgb.DMatrix([[0.9, 0.9, 0.5], [0.1, 0.1, 0.5]],
    feature_names=["a", "b", "d"])
p = b.predict(d)
print(b.num_boosted_rounds(), p[0] > p[1])')" = '20 True' ]
}

@test "getrain trees: the same bytes whatever -j, from a pipe and compressed" {
	awk 'BEGIN {
		srand(3)
		for (r = 0; r < 8000; r++) {
			for (i = t = 0; i < 16; i++) {
				v = rand()
				t += v * (i % 3)
				printf "%.4f,", v
			}
			print t + (r % 500 == 1 ? 1e13 * rand() : rand())
		}
	}' >t.csv
	for j in 1 2 3 8; do
		learn -j $j -O target=17 -O rounds=4 -O folds=2 -O subsample=0.7 \
		    -O colsample=0.5 -O patience=4 -o m$j t.csv
		cmp m1/model.json m$j/model.json
		cmp m1/schema.json m$j/schema.json
	done
	gzip -k t.csv
	learn -O target=17 -O rounds=4 -O folds=2 -O subsample=0.7 \
	    -O colsample=0.5 -O patience=4 -o mz t.csv.gz
	cmp m1/model.json mz/model.json
	learn -O target=17 -O rounds=4 -O folds=2 -O subsample=0.7 \
	    -O colsample=0.5 -O patience=4 <t.csv >m.tar
	tar xf m.tar
	cmp m1/model.json model/model.json
}

@test "getrain trees: classes, categories, the past, proposals and search whatever -j" {
	table 600 | awk -F, -v OFS=, 'NR == 1 { print "g", $0 }
		NR > 1 { print "u" NR % 30, $0 }' >t.csv
	for j in 1 2 3; do
		learn -j $j -O target=c -O group=g -O skip=z -O rounds=12 \
		    -O lags=mean:3 -O combine=4 -O balance -O search=2 -o m$j t.csv
		cmp m1/model.json m$j/model.json
		cmp m1/schema.json m$j/schema.json
		learn -j $j -O target=z -O group=g -O rounds=12 -O lags=4 -o n$j \
		    t.csv
		cmp n1/model.json n$j/model.json
		cmp n1/schema.json n$j/schema.json
	done
	again m1 t.csv
	again n1 t.csv
}

@test "getrain trees: what a run has found out comes out again without folds" {
	table 300 >t.csv
	learn -O target=y -O skip=z -O search=2 -O seed=7 -o m t.csv
	again m t.csv
	# Of 11 inputs a tree sees 8.
	wide 11 150 >w.csv
	learn -O target=y -o w w.csv
	again w w.csv
	awk -F, 'NR == 1 { print "g,t,w," $0 }
		NR > 1 { print int(NR / 10) "," NR "," NR % 3 "," $0 }' t.csv >g.csv
	learn -O target=y -O skip=z,c -O group=g -O time=t -O weight=w \
	    -O lags=lag:1,mean:3 -O decide=f1 -O balance -O positive=no -o g g.csv
	again g g.csv
	learn -O target=z -O only=a,b,c -O combine=3 -O eta=0.123456789 -o c t.csv
	again c t.csv
	getrain trees -q -j1 -O target=y -O skip=z,a -O skip=b -O hold=0.3 \
	    -O decide=0.25 -O rounds=20 -o h t.csv
	again h t.csv
	[ "$(member h/run.json 'j["options"]["decide"]')" = 0.25 ]
	[ "$(member h/run.json '"folds" in j["options"]["held_out"]')" = False ]
	[ "$(member g/run.json 'j["options"]["held_out"]["decide"]')" = f1 ]
	learn -O life -O cap=9 -O time=t -O group=g -O skip=y,z,c -O lags=slope:3 \
	    -o l g.csv
	again l g.csv
}

@test "getrain trees: folds by groups, by time, one part held out" {
	table 300 | awk -F, 'NR == 1 { print "g,t," $0 }
		NR > 1 { print int(NR / 10) "," NR "," $0 }' >t.csv
	learn -O target=z -O skip=y,t -O group=g -o g t.csv
	grep -q '^On 300 rows in 3 folds of groups, ' g/README.md
	learn -O target=z -O skip=y,g -O time=t -o t t.csv
	grep -q '^On 225 rows in 3 folds of blocks of time, ' t/README.md
	getrain trees -j1 -q -O rounds=20 -O target=z -O skip=y,g,t -O hold=0.2 \
	    -o h t.csv
	grep -q '^On 60 rows held out once' h/README.md
	expect 2 learn -O target=z -O skip=y -O group=one -o x \
	    <(sed '1s/^/one,/; 2,$s/^/1,/' t.csv)
	said "getrain: all rows are of one group: none can be held out, only \
-O folds=0 is left"
	[ ! -e x ]
}

@test "getrain trees: every fold holds out rows and learns from some" {
	awk 'BEGIN {
		srand(5)
		print "a,year,group,pure,late,two"
		for (i = 0; i < 150; i++)
			print rand() "," 2000 + int(i / 50) "," int(i / 30) \
			    ",c" int(i / 30) "," (i < 75 ? i % 2 : "") "," \
			    int(i / 75)
	}' >t.csv
	learn -O target=pure -O skip=year,late,two -O group=group -O folds=5 \
	    -o g t.csv
	grep -q '^On 150 rows in 5 folds of groups, ' g/README.md
	learn -O target=a -O only=a,group -O time=year -O folds=5 -o t t.csv
	grep -q '^On 100 rows in 2 folds of blocks of time, ' t/README.md
	expect 2 learn -O target=late -O only=a -O group=two -o x t.csv
	said "getrain: all rows are of one group: none can be held out, only \
-O folds=0 is left"
	for hold in 0.4 0.7 0.9; do
		getrain trees -q -j1 -O rounds=5 -O target=a -O only=year \
		    -O group=group -O hold=$hold -o h$hold t.csv
	done
	grep -q '^On 60 rows held out once' h0.4/README.md
	grep -q '^On 120 rows held out once' h0.9/README.md
	getrain trees -q -j1 -O rounds=5 -O target=pure -O only=a -O hold=0.9 \
	    -o h t.csv
	grep -q '^On 135 rows held out once' h/README.md
	expect 2 getrain trees -q -O target=a -O only=year -O hold=0.001 -o x \
	    t.csv
	said "getrain: of 150 rows none can be held out so that two are learnt \
from: only -O folds=0 is left"
	[ ! -e x ]
}

@test "getrain trees: windows of the past without times hold out blocks of rows" {
	awk 'BEGIN {
		srand(6)
		print "x,y"
		for (i = 0; i < 300; i++) {
			x += rand() - 0.5
			print x "," rand()
		}
	}' >t.csv
	learn -O target=y -O lags=mean:5 -o m t.csv
	grep -q '^On 225 rows in 3 folds of blocks of rows, ' m/README.md
}

@test "getrain trees: what remains of each group's time" {
	awk 'BEGIN {
		srand(4)
		print "unit,cycle,wear"
		for (u = 1; u <= 12; u++) {
			n = 30 + int(20 * rand())
			for (c = 1; c <= n; c++)
				print u "," c "," n - c + 4 * rand()
		}
	}' >t.csv
	learn -O life -O cap=25 -O time=cycle -O group=unit -O lags=mean:3 \
	    -O rounds=60 -o m t.csv
	[ "$(member m/run.json 'j["result"]["metrics"]["rmse"] < 4')" = True ]
	[ "$(member m/schema.json 'j["trees"]["life"]')" = True ]
	[ "$(member m/schema.json 'j["trees"]["cap"]')" = 25.0 ]
	# None is left out of 0 to 25, nor is a bound.
	gepredict m t.csv | tail -n +2 | awk -F '\t' '
	    { n += $2 > 24.9 }
	    $2 < 0 || $4 < 0 || $2 > 25 || $5 > 25 { exit 1 }
	    END { exit !n }'
	expect 2 learn -O life -O group=unit -o x t.csv
	said 'getrain: -O life needs -O time='
	expect 2 learn -O life -O time=cycle -O target=wear -o x t.csv
	said 'getrain: -O life is a target of its own: -O target= cannot be given'
}

@test "getrain trees: weights, balance, classes that are numbers" {
	table 300 | awk -F, -v OFS=, 'NR == 1 { print $0, "w", "k" }
		NR > 1 { print $0, NR % 2, int($6 * 4) }' >t.csv
	learn -O target=y -O skip=z,k -O weight=w -O balance -o m t.csv
	[ "$(member m/run.json '[j["options"][k] for k in ("target", "skip", "weight")]')" = \
	    "['y', ['z', 'k'], 'w']" ]
	[ "$(member m/schema.json '[c["role"] for c in j["columns"]
	    if c["name"] == "w"]')" = "['weight']" ]
	learn -O target=k -O skip=y,z,w -o k t.csv
	[ "$(member k/schema.json 'j["trees"]["classes"][:3]')" = \
	    "['0', '1', '2']" ]
	learn -O target=k -O task=number -O skip=y,z,w -o n t.csv
	[ "$(member n/schema.json 'j["trees"]["task"]')" = number ]
	sed '3s/[^,]*,\([^,]*\)$/-1,\1/' t.csv >bad.csv
	expect 5 learn -O target=y -O weight=w -o x bad.csv
	said "getrain: column 'w', row 2: weight -1 is not from 0 to 1e+15"
	sed '4s/[^,]*,\([^,]*\)$/,\1/' t.csv >bad.csv
	expect 5 learn -O target=y -O weight=w -o x bad.csv
	said "getrain: column 'w', row 3: its weight is missing"
}

@test "getrain trees: scores by a column that is not learnt from" {
	table 300 >t.csv
	learn -O target=y -O skip=z,c -O by=c -O rounds=10 -o m t.csv
	grep -qx 'By c:' m/README.md
	[ "$(member m/schema.json '[c["role"] for c in j["columns"]
	    if c["name"] == "c"]')" = "['none']" ]
	[ "$(member m/schema.json '"c" in [f["name"] for f in
	    j["features"]]')" = False ]
}

@test "getrain trees: targets that are none, and rows too few" {
	table 40 >t.csv
	while IFS='|' read -r opt line; do
		# shellcheck disable=SC2086	# words
		expect 2 learn $opt -o x t.csv
		said "getrain: $line"
		[ ! -e x ]
	done <<-'END'
	-O skip=c|what is to be foretold? -O target=column, or -O life
	-O target=why|'t.csv': no column 'why'
	-O target=y -O task=number|target 'y' holds words, no numbers
	-O target=z -O positive=yes|-O positive= is of two classes, not 0
	-O target=y -O positive=maybe|positive 'maybe': the classes are 'no' and 'yes'
	-O target=y -O by=why|'t.csv': no column 'why'
	-O target=z -O decide=f1|-O decide= is of two classes, not 0
	-O target=c -O decide=0.9|-O decide= is of two classes, not 3
	-O target=z -O balance|-O balance is of classes, not of a number
	END
	printf 'a,y\n1,2\n' >one.csv
	expect 2 learn -O target=y -o x one.csv
	said "getrain: target 'y' is constant"
	printf 'a,y\n1,2\n2,2\n3,2\n' >same.csv
	expect 2 learn -O target=y -o x same.csv
	said "getrain: target 'y' is constant"
	printf 'a,y\n1,\n2,NA\n' >none.csv
	expect 2 learn -O target=y -o x none.csv
	said "getrain: target 'y' is missing in every row"
	printf 'a,y\n1,1e308\n2,1\n' >huge.csv
	expect 5 learn -O target=y -O task=number -o x huge.csv
	said "getrain: column 'y', row 1: target 1e+308 is beyond 1e+15"
	expect 2 learn -O target=y -o x /dev/null
	[ ! -e x ]
}

@test "getrain trees: words among numbers, and words never the same, are told" {
	table 120 | awk -F, -v OFS=, '{ $7 = NR == 1 ? "id" : "i" NR }
		NR == 58 { $1 = "oops" } { print }' >t.csv
	expect 0 getrain trees -j1 -O rounds=5 -O folds=2 -O target=y -O skip=z \
	    -o m t.csv
	told "column 'a': 119 numbers, but 't.csv:58:1': 'oops': taken as words"
	told "column 'id': another word in most rows, of which nothing can be \
learnt for others"
	[ "$(grep -c column "$err")" = 2 ]
}

@test "getrain trees: scores of a constant are those of its folds" {
	# Of pooled folds the area is below 0.5: those with few yes foretell many.
	table 90 >t.csv
	learn -O target=y -O skip=z -o m t.csv
	[ "$(member m/run.json 'j["result"]["baselines"][0]["metrics"]["auc"]')" = 0.5 ]
	awk -F, -v OFS=, 'NR == 1 { print $0, "g" } NR > 1 { print $0, int(NR / 9) }' \
	    t.csv >g.csv
	learn -O target=y -O skip=z -O group=g -o g g.csv
	[ "$(member g/run.json 'j["result"]["baselines"][0]["metrics"]["auc"]')" = 0.5 ]
	awk -F, -v OFS=, 'NR == 1 { print $0, "g" } NR > 1 { print $0, $5 }' \
	    t.csv >p.csv
	learn -O target=y -O skip=z,a,b -O group=g -o p p.csv
	[ "$(member p/run.json \
	    '"auc" in j["result"]["baselines"][0]["metrics"]')" = False ]
}

@test "getrain trees: limits of time and energy, grams, coverage" {
	table 400 >t.csv
	for limit in minutes joules; do
		expect 0 getrain trees -j1 -O target=y -O skip=z -O search=1000 \
		    -O rounds=200 -O $limit=0.0001 -O gco2=400 -o $limit t.csv
		told ' g of CO2'
		[ "$(member $limit/run.json 'j["result"]["stopped_by"]')" = $limit ]
		[ "$(member $limit/run.json \
		    'j["options"]["held_out"]["'$limit'"]')" = 0.0001 ]
		again $limit t.csv
	done
	learn -O target=z -O skip=y -O coverage=0.5 -o half t.csv
	learn -O target=z -O skip=y -O coverage=0.95 -o most t.csv
	grep -q 'Sets and intervals at 50 % held' half/README.md
	[ "$(python3 -c 'import json
print(json.load(open("half/schema.json"))["trees"]["conformal"]["radius"] <
    json.load(open("most/schema.json"))["trees"]["conformal"]["radius"])')" = True ]
}

@test "getrain trees: a class seen once, gaps, infinities: told, and it works" {
	table 60 | awk -F, -v OFS=, 'NR == 1 { print $0, "e" }
		NR == 2 { $1 = "1e308"; $5 = "once" }
		NR == 3 { $1 = "-1e300" }
		NR == 4 { $5 = "" }
		NR > 1 { print $0, "" }' >t.csv
	expect 0 getrain trees -j1 -O rounds=20 -O folds=3 -O target=y -O skip=z \
	    -o m t.csv
	told "class 'once' is in 1 row, for 3 folds: what is told of it is worth \
little"
	told '1 row without a target: left out'
	told '59 rows, 5 inputs, 3 classes'
	python3 -c 'import json
json.load(open("m/model.json"))'
}

@test "getrain trees: wrong options are answered" {
	table 40 >t.csv
	while IFS='|' read -r opt line; do
		expect 2 getrain trees -O target=y -O "$opt" -o m t.csv
		said "getrain: $line"
	done <<-'END'
	folds=1|folds '1': 0, or 2 at least; one part is held out by -O hold=
	folds=x|folds 'x': not a number from 0 to 100
	eta=0|eta '0': not a number from 1e-06 to 1
	depth|-O 'depth': its value is missing
	balance=1|-O 'balance=1': takes no value
	task=rank|task 'rank': neither 'classes' nor 'number'
	decide=now|decide 'now': neither 'likely', 'accuracy', 'f1', 'balanced' nor a number from 0 to 1
	widht=3|-O 'widht=3': no such option
	cap=3|-O cap= is of -O life
	END
	while IFS='|' read -r opt line; do
		# shellcheck disable=SC2086	# words
		expect 2 getrain trees -O target=y $opt -o m missing.csv
		said "getrain: $line"
	done <<-'END'
	-O lags=mean|no such window: 'mean'
	-O lags=33x|no such window: '33x'
	-O lags=lag:1,age,start:3|no such window: 'start:3'
	-O lags=0|lags '0': not from 1 to 65536 rows
	-O folds=3 -O hold=0.2|-O folds= and -O hold= exclude each other
	-O folds=0 -O coverage=0.8|-O coverage= needs rows held out, not -O folds=0
	-O folds=0 -O patience=3|-O patience= needs rows held out, not -O folds=0
	-O folds=0 -O decide=f1|-O decide= needs rows held out, not -O folds=0
	-O folds=0 -O by=c|-O by= needs rows held out, not -O folds=0
	-O folds=0 -O search=2|-O search= needs rows held out, not -O folds=0
	END
	[ ! -e m ]
	expect 0 getrain trees -t -O target=y t.csv
	told "getrain: 40 rows, 5 inputs, 2 classes ('no' ... 'yes')"
	diff - "$out" <<-'END'
	#part	bytes
	table	1920
	features	800
	matrix	800
	gradients	640
	END
}

@test "getrain trees: an old model stays unless -f; killed, none is left" {
	table 60 >t.csv
	learn -O target=y -o m t.csv
	cp m/model.json old
	expect 2 learn -O target=z -o m t.csv
	cmp m/model.json old
	learn -f -O target=z -o m t.csv
	fails cmp -s m/model.json old
	mkfifo pipe
	getrain trees -q -O target=y -o k pipe &
	pid=$!
	exec 9>pipe
	head -5 t.csv >&9
	kill -TERM $pid
	exec 9>&-
	fails wait $pid
	[ ! -e k ]
}

@test "getrain trees: each allocation failing leaves one line and no model" {
	table 40 >t.csv
	for ((i = 1; ; i += 7)); do
		got=0
		GE_FAILALLOC=$i getrain trees -j1 -q -O rounds=3 -O folds=2 \
		    -O target=y -o m t.csv >"$out" 2>"$err" || got=$?
		[ $got -ne 0 ] || break
		[ $got -eq 1 ]
		[ "$(wc -l <"$err")" -eq 1 ]
		[ ! -e m ]
	done
	[ "$i" -gt 100 ]
	[ -e m/model.json ]
}
