load helper

# Tables that are none, by whatever reads them first: the line that is said, and
# nothing left behind.  The manual page is ge-table(5).

# refuses STATUS LINE [OPTION ...]: of the table t.csv; nothing is left behind.
refuses() {
	local want=$1 line=$2
	shift 2
	expect "$want" getrain monitor -q "$@" -o m t.csv
	said "getrain: $line"
	[ ! -s "$out" ]
	[ "$(ls -A)" = t.csv ]
}

# steady N: the rows of a table x,y at work.
steady() {
	awk -v n="$1" 'BEGIN {
		for (s = 1; i < n; i++) {
			s = (s * 16807) % 2147483647
			printf "%.4f,%.4f\n", sin(i / 7), cos(i / 5) + s / 1e11
		}
	}'
}

@test "tables: empty, a header alone, and one row" {
	: >t.csv
	refuses 2 "'t.csv': no table"
	printf '\n\r\n' >t.csv
	refuses 2 "'t.csv': no table"
	printf 'x,y\n' >t.csv
	refuses 2 "'t.csv': a header and no rows"
	printf 'x,y\n1,2\n' >t.csv
	expect 2 getrain monitor -q -o m t.csv
	[ "$(wc -l <"$err")" -eq 1 ]
	[ "$(ls)" = t.csv ]
	expect 2 getrain monitor -q -o m </dev/null
	said "getrain: 'standard input': no table"
}

@test "tables: rows that do not fit, with file, line and byte" {
	printf 'x,y\n1,2\n3\n' >t.csv
	refuses 5 "'t.csv:3:2': 1 field in a table of 2 columns"
	printf 'x,y\n1,2\n3,4,5\n' >t.csv
	refuses 5 "'t.csv:3:5': 3 fields in a table of 2 columns"
	printf 'x,y\n1,"2\n' >t.csv
	refuses 5 "'t.csv:2:3': a quote that does not end"
	printf 'x,y\n"a\nb"c,2\n' >t.csv
	refuses 5 "'t.csv:3:3': text behind a closing quote"
	printf 'x,y\n1\r,2\n' >t.csv
	refuses 5 "'t.csv:2:2': a carriage return without a line feed"
	printf 'x,y,x\n1,2,3\n' >t.csv
	refuses 5 "'t.csv:1:5': column 'x' is there twice"
	printf 'x;y\n1;2\n1,5;2\n' >t.csv
	refuses 5 "'t.csv:3:1': '1,5' is no number: a point stands before decimals"
	printf 'x,y\n2024-01-01,2\nsoon,2\n' >t.csv
	refuses 5 "'t.csv:3:1': column 'x' holds times and other values"
	printf 'x,caf\351\n1,2\n' >t.csv
	refuses 5 "'t.csv:1:3': a name that is not UTF-8"
	printf 'x,y\n1,\351t\351\n' >t.csv
	refuses 5 "'t.csv:2:3': a word that is not UTF-8"
}

@test "tables: NUL, binary, long fields and a million columns" {
	printf 'x,y\n1,\0\n' >t.csv
	refuses 5 "'t.csv:2:3': a NUL byte"
	printf '\211PNG\r\n\032\n\0\0\0\rIHDR' >t.csv
	refuses 5 "'t.csv': neither a table nor an archive"
	printf 'x\ny\0' | iconv -f utf-8 -t utf-16 >t.csv
	refuses 5 "'t.csv': neither a table nor an archive"
	{ printf 'x,y\n1,'; head -c 10M /dev/zero | tr '\0' 7; echo; } >t.csv
	refuses 5 "'t.csv:2:3': a field longer than is taken"
	{ printf 'x,y\n1,"'; head -c 10M /dev/zero | tr '\0' 7; echo; } >t.csv
	refuses 5 "'t.csv:2:3': a field longer than is taken"
	seq -s, 1000000 >t.csv
	refuses 5 "'t.csv:1:382111': more columns than are taken"
	gzip -c <(seq 100) | head -c 40 >t.csv
	expect 5 getrain monitor -q -o m t.csv
	told "getrain: 't.csv': cannot be unpacked: "
	{ printf 'x\n'; head -c 100M /dev/zero | tr '\0' '\n'; } | gzip >t.csv
	refuses 5 "'t.csv': unpacked more than 200 times as large: raise -O ratio= if that is meant"
}

@test "tables: options that are not understood" {
	printf 'x,y\n1,2\n' >t.csv
	refuses 2 "sep 'dot': not comma, semicolon, tab, space or auto" -O sep=dot
	refuses 2 "header 'maybe': not no, yes or auto" -O header=maybe
	refuses 2 "-O 'time': its value is missing" -O time
	refuses 2 "-O 'skip=x,': a name is missing" -O skip=x,
	refuses 2 "'t.csv': no column 'z'" -O skip=x,z
	refuses 2 "'t.csv': no column 'z'" -O only=z
	refuses 2 "'t.csv': no column 'z'" -O time=z
	refuses 2 "'t.csv': no column '2-3'" -O skip=2-3
	refuses 2 "'t.csv': no column is left" -O skip=1-2
	expect 2 getrain monitor -q -o m nothing.csv
	told "nothing.csv"
}

@test "tables: the same model however the table comes" {
	{ echo x,y; steady 300; } >t.csv
	tr , '\t' <t.csv >t.tsv
	tr , ';' <t.csv | sed 's/$/\r/; 1s/^/\xef\xbb\xbf/' >crlf.csv
	sed 's/\([^,]*\),\(.*\)/"\1", \2 /' t.csv >quoted.csv
	gzip -c t.csv >t.gz
	{ cat t.csv; echo; } | xz >t.xz
	tar cf t.tar t.csv
	getrain monitor -q -o m t.csv
	for f in t.tsv crlf.csv quoted.csv t.gz t.xz t.tar; do
		getrain monitor -q -o "m.$f" "$f"
		cmp m/monitor.safetensors "m.$f/monitor.safetensors"
		cmp m/schema.json "m.$f/schema.json"
	done
	tar c t.csv | getrain monitor -q -o m.in
	cmp m/monitor.safetensors m.in/monitor.safetensors
	# of several columns those that are asked for, in their order
	awk -F, -v OFS=, '{ print NR == 1 ? "note" : "\"a\n" NR "\"", $0 }' \
	    t.csv >more.csv
	getrain monitor -q -O only=x -O only=y -o m.only more.csv
	cmp m/monitor.safetensors m.only/monitor.safetensors
	getrain monitor -q -O skip=1 -o m.skip more.csv
	cmp m.only/schema.json m.skip/schema.json
}

@test "tables: numbers between blanks, without a header" {
	steady 300 | sed 's/^/  /; s/,/   /; s/$/ /' >t.dat
	getrain monitor -q -o m t.dat
	jq -e '.header == false and (.columns | map(.name)) == ["1", "2"]' \
	    m/schema.json
	{ echo x,y; steady 300; } >t.csv
	getrain monitor -q -o m.csv t.csv
	cmp m/monitor.safetensors m.csv/monitor.safetensors
}

@test "tables: columns by name, number or range, and those of roles besides" {
	{ echo 'a,2,c [mm],y,id'; steady 200 | awk -F, -v OFS=, '{
		print $1, $2, $1 * $2, ($1 > 0 ? "up" : "down"), "p" int(NR / 20)
	}'; } >t.csv
	while read -r want options; do
		# shellcheck disable=SC2086	# several options
		getrain trees -q -f -O folds=0 -O rounds=2 $options -o m t.csv
		[ "$(jq -r '[.columns[] | .name[0:1] + .role[0:2]] | join(",")' \
		    m/schema.json)" = "$want" ]
	done <<-'END'
	ain,2in,cin,yta -O target=y -O skip=id
	cin,yta -O target=4 -O only=3
	ain,2in,yta -O target=y -O only=a,2
	ain,2in,yta,igr -O target=y -O group=5 -O only=1-2
	2in,cin,yta,igr -O target=y -O group=id -O skip=1
	END
	jq -e '.width == 5 and .columns[1].unit == "mm" and
	    .columns[1].place == 3' m/schema.json
	# rows without their names, as the end of a file has them
	tail -n 3 t.csv | gepredict m >some
	gepredict m t.csv | tail -n 3 | cut -f 2- | diff - <(sed 1d some | cut -f 2-)
}
