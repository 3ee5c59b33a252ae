load helper

# gepredict on trees: patients of three wards, ill or well; the days they stay.

HEADER=$'#row\tprediction\tprobability\tlow\thigh\tcauses'

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	patients 600 7 | sed 's/,ill,/,very ill,/' >train.csv
	patients 400 99 | sed 's/,ill,/,very ill,/' >test.csv
	getrain trees -q -j 1 -O target=state -O skip=days -O rounds=60 -O eta=0.2 \
	    -o classes train.csv
	getrain trees -q -j 1 -O target=days -O skip=state -O rounds=60 -O eta=0.2 \
	    -o number train.csv
}

# model NAME: classes or number, as the folder m; and test.csv.
model() {
	rm -rf m
	cp -r "$BATS_FILE_TMPDIR/$1" m
	cp "$BATS_FILE_TMPDIR/test.csv" .
}

# report CLASSES: what came out is a report of classes (1) or numbers (0).
report() {
	awk -F '\t' -v header="$HEADER" -v classes="$1" '
	NR == 1 { bad += $0 != header; next }
	NF != 6 || $1 != NR - 1 { bad++ }
	classes {
		bad += $2 !~ /^(very%20ill|well)$/ || $5 != "" ||
		    $3 !~ /^[01](\.[0-9]+)?$/ || $3 > 1
		bad += $4 !~ /^(|very%20ill|well|very%20ill,well)$/
	}
	!classes {
		bad += $2 !~ /^-?[0-9.]+$/ || $3 != "" || !($4 < $2 + 0) ||
		    !($2 + 0 < $5 + 0)
	}
	END { exit bad != 0 || NR < 2 }' "$out"
}

@test "gepredict trees: classes, their probability and the conformal set" {
	model classes
	expect 0 gepredict m test.csv
	said
	report 1
	[ "$(wc -l <"$out")" -eq 401 ]
	awk -F '\t' 'NR > 1 { print $2, $4, $6 }' "$out" >pred
	# The truth of each row beside it.
	sed -e 1d -e 's/.*,\(very ill\|well\),.*/\1/' -e 's/ /%20/' test.csv >truth
	paste -d ' ' truth pred | awk '
	{ right += $1 == $2; in_set += index("," $3 ",", "," $1 ",") > 0 }
	END { exit !(right > 340 && in_set > 330 && in_set < 390) }'
	mv "$out" want
	expect 0 gepredict -j 1 m - <test.csv
	cmp want "$out"
	expect 0 gepredict -q -j 3 m <test.csv
	cmp want "$out"
}

@test "gepredict trees: numbers and their intervals" {
	model number
	expect 0 gepredict m test.csv
	said
	report 0
	paste <(sed -e 1d -e 's/.*,//' test.csv) <(sed 1d "$out") |
	    awk -F '\t' '{ n += $1 >= $5 && $1 <= $6; d = $1 - $3; s += d * d }
	    END { exit !(n > 330 && n < 395 && s / NR < 10) }'
}

# far ROWS SEED MORE: x, and y = MORE + what x decides + noise below 1.
far() {
	awk -v n="$1" -v s="$2" -v more="$3" 'BEGIN {
		srand(s)
		print "x,y"
		for (i = 0; i < n; i++) {
			x = rand()
			printf "%.4f,%.4f\n", x, more + 20 * x + rand()
		}
	}'
}

@test "gepredict trees: numbers far from 0 are told as well as others" {
	for more in 0 2000 2000000 1e9; do
		far 600 1 $more >train.csv
		far 400 2 $more >test.csv
		getrain trees -q -j 1 -O target=y -O rounds=80 -f -o m train.csv
		expect 0 gepredict m test.csv
		said
		# What is told of rows is as it was when they were held out.
		paste <(sed -e 1d -e 's/.*,//' test.csv) <(sed 1d "$out") |
		    awk -F '\t' '{ n += $1 >= $5 && $1 <= $6; d = $1 - $3
		    s += d * d; wide += $6 - $5 }
		    END { exit !(n > 335 && n < 385 && s / NR < 0.2 &&
		    wide / NR < 1.5) }'
		expect 0 gepredict -O format=json m test.csv
		sed -e 's/.*"low": //' -e 's/, "high": /\t/' -e 's/}//' "$out" \
		    >bounds
		gepredict m test.csv | sed 1d | cut -f 4,5 | cmp - bounds
		cp -r m m-$more
	done
	# XGBoost alone says the same, to what floats can tell.
	/usr/bin/python3 -c 'import xgboost' || skip 'no python3-xgboost'
	far 400 2 2000 >test.csv
	gepredict m-2000 test.csv | sed 1d | cut -f 2 >want
	sed -e 1d -e 's/,.*//' test.csv >x
	/usr/bin/python3 -c '
import xgboost as xgb
b = xgb.Booster(model_file="m-2000/model.json")
x = [[float(v)] for v in open("x")]
p = b.predict(xgb.DMatrix(x, feature_names=["x"]))
w = [float(v) for v in open("want")]
d = [abs(a - b) for a, b in zip(p, w)]
assert len(d) == 400 and max(d) < 0.01 and min(w) > 1999, max(d)'
	sed -i 's/"shift": [0-9.e+]*/"shift": "far"/' m/schema.json
	expect 5 gepredict m test.csv
	told "'m/schema.json'"
}

@test "gepredict trees: words where numbers were are told of when it is learnt" {
	far 120 1 0 >far.csv
	sed -n 's/^\([0-9.]*\),\(.*\)/\1,\2,n\1,d/p' far.csv |
	    sed -e '1ix,y,name,more' -e '7s/^[^,]*/oops/' >train.csv
	expect 0 getrain trees -j 1 -O target=y -O rounds=5 -o m train.csv
	told "column 'x': 119 numbers, but 'train.csv:8:1': 'oops': taken as words"
	expect 0 getrain trees -j 1 -O target=y -O skip=name,x -O rounds=5 -f \
	    -o m train.csv
	fails grep -q 'words' "$err"
	# Not where words are as many.
	awk -F , -v OFS=, 'NR > 1 { $1 = NR % 2 ? NR % 7 : "a" NR % 5 } 1' \
	    far.csv >train.csv
	expect 0 getrain trees -j 1 -O target=y -O rounds=5 -f -o m train.csv
	fails grep -q 'words' "$err"
}

@test "gepredict trees: -v tells what speaks for it, the most first" {
	model classes
	gepredict m test.csv >want
	expect 0 gepredict -v m test.csv
	cut -f 1-5 "$out" | diff - <(cut -f 1-5 want)
	[ "$(cut -f 6 want | sort -u)" = "$(printf '\ncauses')" ]
	# By size; what decides is dose, age or ward, and never noise.
	awk -F '\t' 'NR > 1 {
		n = split($6, cause, ",")
		bad += n < 2 || n > 4
		for (i = 1; i <= n; i++) {
			split(cause[i], c, ":")
			size = c[2] < 0 ? -c[2] : c[2]
			bad += c[1] !~ /^(age|dose|noise|ward)$/
			bad += i > 1 && size > last
			last = size
		}
		first += cause[1] ~ /^(dose|age|ward):/
		bad += $3 > 0.99 && cause[1] ~ /:-/
	}
	END { exit bad != 0 || first < 390 }' "$out"
	model number
	expect 0 gepredict -v m test.csv
	awk -F '\t' 'NR > 1 { n += $6 ~ /^(dose|ward):/ }
	    END { exit n < 390 }' "$out"
}

@test "gepredict trees: JSON, an object a row" {
	model classes
	gepredict m test.csv >want
	expect 0 gepredict -O format=json m test.csv
	[ "$(wc -l <"$out")" -eq 400 ]
	fails grep -Evx '\{"row": [0-9]+, "prediction": "(very ill|well)", '\
'"probability": [01](\.[0-9]+)?, "set": \[("[a-z ]+"(, "well")?)?\]\}' "$out"
	sed 's/.*"probability": \([^,]*\).*/\1/' "$out" |
	    diff - <(sed 1d want | cut -f 3)
	expect 0 gepredict -v -O format=json m test.csv
	grep -q '"causes": \[{"name": "[a-z]*", "contribution": -*[0-9.]*}' "$out"
	model number
	expect 0 gepredict -O format=json m test.csv
	fails grep -Evx '\{"row": [0-9]+, "prediction": [-0-9.]+, '\
'"low": [-0-9.]+, "high": [-0-9.]+\}' "$out"
}

@test "gepredict trees: columns are found by their names" {
	model number
	sed -i 's/"east, new"/east/' test.csv
	sed 's/"east, new"/east/' "$BATS_FILE_TMPDIR/train.csv" >train.csv
	rm -r m
	getrain trees -q -j 1 -O target=days -O skip=state -O rounds=20 -o m train.csv
	gepredict m test.csv >want
	awk -F , -v OFS=';' '{ print $4, "note " NR, $2, $3, $1 }' test.csv \
	    >other.csv
	expect 0 gepredict m other.csv
	cmp want "$out"
	tr , '\t' <test.csv | sed 's/$/\r/' | gzip >other.gz
	expect 0 gepredict m other.gz
	cmp want "$out"
	cut -d , -f 2- test.csv >other.csv
	expect 5 gepredict m other.csv
	said "gepredict: 'other.csv': no column 'age', which the model reads"
	[ ! -s "$out" ]
	expect 5 gepredict m <(head -n 1 other.csv)
	[ ! -s "$out" ]
	sed '1s/ward/wing/' test.csv >other.csv
	expect 5 gepredict m other.csv
	said "gepredict: 'other.csv': no column 'ward', which the model reads"
	# Neither the target nor what was skipped needs to be there.
	cut -d , -f 1-4 test.csv >other.csv
	expect 0 gepredict m other.csv
	cmp want "$out"
}

@test "gepredict trees: what is missing, a word never seen, and what is no row" {
	model classes
	awk -F , -v OFS=, 'NR % 7 == 3 { $1 = "NA" } NR % 11 == 4 { $2 = "" } 1' \
	    test.csv >gaps.csv
	expect 0 gepredict m gaps.csv
	report 1
	gepredict m test.csv >want
	awk 'NR == 1 || (NR % 7 != 3 && NR % 11 != 4)' want >a
	awk 'NR == 1 || (NR % 7 != 3 && NR % 11 != 4)' "$out" | cmp a -
	# As if it were missing.
	sed 's/,north,/,,/' test.csv >gaps.csv
	gepredict m gaps.csv >want
	sed 's/,north,/,attic,/' test.csv >gaps.csv
	expect 0 gepredict m gaps.csv
	cmp want "$out"
	n=$(grep -c attic gaps.csv)
	said "gepredict: $n words that the model never saw were taken as missing"
	sed '7s/^[0-9]*/old/' test.csv >gaps.csv
	expect 5 gepredict m gaps.csv
	said "gepredict: 'gaps.csv:7:1': 'old' where column 'age' has numbers"
	[ "$(wc -l <"$out")" -eq 6 ]
	sed '7s/$/,1/' test.csv >gaps.csv
	expect 5 gepredict m gaps.csv
	told "'gaps.csv:7:"
	expect 2 gepredict m /dev/null
	expect 0 gepredict m <(head -n 1 test.csv)
	[ "$(cat "$out")" = "$HEADER" ]
	expect 2 gepredict m gone.csv
	told "cannot open 'gone.csv'"
}

@test "gepredict trees: a row is answered before the next one comes" {
	model classes
	gepredict m test.csv >want
	mkfifo in got
	gepredict m <in >got &
	exec 4>in 5<got
	for i in 1 2 3; do
		sed -n "${i}p" test.csv >&4
		IFS= read -r -u 5 line
		[ "$line" = "$(sed -n "${i}p" want)" ]
	done
	exec 4>&-
	wait $!
	fails read -r -u 5 line
	exec 5<&-
}

@test "gepredict trees: rows of a group see those before them" {
	awk 'BEGIN {
		print "unit,t,heat,wear"
		for (u = 1; u <= 20; u++)
			for (t = 0; t < 30; t++) {
				x = (u * 7919 + t * 104729) % 97
				print u "," t "," x "," last + x / 10
				last = t < 29 ? x : 0
			}
	}' >units.csv
	getrain trees -q -j 1 -O target=wear -O group=unit -O time=t -O lags=lag:1 \
	    -O rounds=60 -o m units.csv
	expect 0 gepredict m units.csv
	mv "$out" want
	# Units in turns, then put in order again.
	(sed 1q units.csv; sed 1d units.csv | sort -t , -s -k 2n) >turns.csv
	gepredict m turns.csv | sed 1d | cut -f 2- >a
	sed 1d turns.csv | cut -d , -f 1,2 | paste -d , - a |
	    sort -t , -s -k 1n -k 2n | cut -d , -f 3 >b
	sed 1d want | cut -f 2- | cmp - b
	# What was one row ago counts.
	expect 0 gepredict m <(sed 3d units.csv)
	fails cmp -s <(sed -n 3p "$out" | cut -f 2) <(sed -n 4p want | cut -f 2)
	cut -d , -f 2- units.csv >none.csv
	expect 5 gepredict m none.csv
	said "gepredict: 'none.csv': no column 'unit', which the model reads"
	# Rows in another order are another past.
	(sed 40q units.csv; sed -n 39p units.csv; sed 1,40d units.csv) >back.csv
	expect 5 gepredict m back.csv
	said "gepredict: row 40: time runs back in its group"
	[ "$(wc -l <"$out")" -eq 40 ]
	expect 5 getrain trees -q -j 1 -O target=wear -O group=unit -O time=t \
	    -O lags=lag:1 -o n back.csv
	said "getrain: row 40: time runs back in its group"
	[ ! -e n ]
	expect 5 getrain trees -q -j 1 -O life -O group=unit -O time=t -o n back.csv
	said "getrain: row 40: time runs back in its group"
}

@test "gepredict trees: groups that are forgotten are told of" {
	awk 'BEGIN {
		print "unit,heat,wear"
		for (t = 0; t < 2; t++)
			for (u = 1; u <= 2200; u++)
				print u "," (u * 7919) % 97 "," (u % 2) + t / 2
	}' >units.csv
	getrain trees -q -j 1 -O target=wear -O group=unit -O lags=mean:4000 \
	    -O rounds=3 -O task=number -o m units.csv
	expect 0 gepredict m <(sed 2001q units.csv)
	said
	expect 0 gepredict m units.csv
	told "that which was not seen for longest was forgotten"
	[ "$(wc -l <"$err")" -eq 1 ]
}

# refused FILE SCRIPT WORDS: the model with FILE changed so is refused in one line.
refused() {
	cp "$BATS_FILE_TMPDIR/classes/$1" "m/$1"
	sed -i "$2" "m/$1"
	fails cmp -s "$BATS_FILE_TMPDIR/classes/$1" "m/$1"
	expect 5 gepredict m test.csv
	[ "$(wc -l <"$err")" -eq 1 ]
	told "'m/$1'"
	told "$3"
	[ ! -s "$out" ]
	cp "$BATS_FILE_TMPDIR/classes/$1" "m/$1"
}

@test "gepredict trees: a damaged model, or one of another version" {
	model classes
	refused schema.json 's/"getools": 1/"getools": 2/' version
	refused schema.json 's/"family": "trees"/"family": "shrubs"/' ""
	refused schema.json 's/"threshold": 0[.]*5*/"threshold": 7/' decide
	refused schema.json 's/"coverage": 0.9[0-9]*/"coverage": 9/' conformal
	refused schema.json 's/"task": "classes"/"task": "clusters"/' ""
	refused schema.json 's/"features"/"textures"/' features
	refused schema.json '$d' ""
	refused model.json 's/"left_children":\[/&-9,/' ""
	refused model.json 's/"left_children":\[[0-9]*/"left_children":[999999/' ""
	refused model.json 's/"split_indices":\[[0-9]*/"split_indices":[77/' ""
	refused model.json 's/.$//' ""
	: >m/model.json
	expect 5 gepredict m test.csv
	rm m/schema.json
	expect 2 gepredict m test.csv
	model number
	cp m/model.json a
	model classes
	cp a m/model.json
	expect 5 gepredict m test.csv
	[ "$(wc -l <"$err")" -eq 1 ]
}

@test "gepredict trees: each allocation failing in turn" {
	local i
	model classes
	head -n 20 test.csv >few.csv
	gepredict -j 1 -v m few.csv >want
	for ((i = 1; i < 1000; i++)); do
		GE_FAILALLOC=$i gepredict -j 1 -v m few.csv >got 2>err && break
		[ $? -eq 1 ]
		[ "$(grep -c 'out of memory' err)" -eq 1 ]
		[ "$(wc -l <err)" -eq 1 ]
	done
	[ $i -gt 50 ]
	[ $i -lt 1000 ]
	cmp want got
}

@test "gepredict trees: windows that are none are refused before anything is read" {
	mkfifo in
	for lags in 33x mean:0 0 65537 slope; do
		expect 2 timeout 20 getrain trees -O target=a -O lags=$lags -o m in
		told "$lags"
	done
}

@test "gepredict trees: wrong command lines" {
	model classes
	expect 2 gepredict -O format=prometheus m test.csv
	said "gepredict: format 'prometheus': not tsv or json"
	expect 2 gepredict -O state=s m test.csv
	told "-O 'state=s': not with a model that has 'model.json'"
	expect 2 gepredict -O coverage=0.5 m test.csv
	told "-O 'coverage=0.5'"
	expect 1 sh -c 'gepredict m test.csv >/dev/full'
}
