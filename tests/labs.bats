load helper

# The labs' pages show what their commands do: the commands are run here, those of
# lm with small texts and models that have learnt next to nothing.

labs=$GE_TOP/contrib/labs

# commands PAGE: its commands, which are not translated.
commands() {
	grep '^    [$>] ' "$1"
}

# shown PAGE: its commands and what they print.
shown() {
	awk '/^    \$ / { on = 1 }
	    on && /^( ? ? ?)[^ ]/ { on = 0 }
	    on && /^    / { print substr($0, 5) }' "$1"
}

# loosely: without times and joules, which are those of another run, and without
# what gnuplot draws, which not every machine has.
loosely() {
	awk '/^\$ / { on = !/plot-/ } on' "$@" |
	    sed -e 's/[0-9][0-9.e+-]* \(s\|min\|J\)\>/N \1/g' \
		-e 's/[[:blank:]]*$//' -e '/^$/d'
}

# work LAB: all commands of its pages do their work and print what is shown there;
# where programs are slow on purpose, quickly, and what they print is not looked
# at.
work() {
	if [ "${GE_CPU-}" = portable ] || [ -n "${GE_SAN-}" ]; then
		expect 0 "$labs/run" -q "$1" lab
		return
	fi
	expect 0 "$labs/run" "$1" lab
	[ -z "$(ls -A "$TMPDIR")" ]
	diff <(shown "$labs/$1/README.en" | loosely) <(loosely "$out")
	diff <(shown "$labs/$1/README.en") <(shown "$labs/$1/README.fr")
}

@test "labs: all commands of lm do their work" {
	# Without Debian's pages, ours.
	if ! dpkg -L manpages-fr manpages >/dev/null 2>&1; then
		export GE_LAB_MAN=$GE_TOP/man
	fi
	expect 0 "$labs/run" -q lm lab
	# All of them were run and shown, but for what needs gnuplot.
	[ "$(grep -c '^\$ ' "$out")" -ge \
	    "$(commands "$labs/lm/README.en" | grep -v plot-loss |
		grep -c '[$] ')" ]
	[ "$(tail -n 1 "$out")" = 'the same' ]
	# The weights on one thread are those on many.
	[ "$(sed -n '/^\$ sha256sum/,/^\$ echo/p' "$out" |
	    grep -v '^[$>]' | sort -u | wc -l)" -eq 1 ]
	[ -z "$(ls -A "$TMPDIR")" ]
}

@test "labs: foundry's pages show what its commands print" {
	work foundry
}

@test "labs: clinic's pages show what its commands print" {
	dpkg -L python3-sklearn >/dev/null 2>&1 || skip 'no python3-sklearn'
	work clinic
}

@test "labs: a command that fails ends the run" {
	GE_LAB_MAN=$PWD/nothing expect 1 "$labs/run" -q lm lab
	[ "$(grep -c '^\$ ' "$out")" -eq 1 ]
	expect 2 "$labs/run" lm
	expect 2 "$labs/run" no-such-lab lab2
	[ ! -e lab2 ]
	expect 1 "$labs/lm/pages" no-such-package new
	said 'pages: as root, run: apt-get install no-such-package'
	[ ! -e new ]
}

@test "labs: a page of each package, without addresses" {
	mkdir man
	printf '.TH X 1\n.SH NOM\nx \\- un  essai\n.PP\nUn <a@b.c>\n' >man/x.1
	printf 'text\n' >man/README
	GE_LAB_MAN=$PWD/man expect 0 "$labs/lm/pages" any fr
	[ "$(ls fr)" = x.1.txt ]
	grep -qx 'x - un essai' fr/x.1.txt
	fails grep '@' fr/x.1.txt
}

@test "labs: the pages have the same commands in both languages, in 80 columns" {
	for lab in "$labs"/*/; do
		diff <(commands "$lab/README.en") <(commands "$lab/README.fr")
		# What programs print is as long as it is.
		for p in "$lab"README.en "$lab"README.fr; do
			widest=$(grep -v '^    [^$>]' "$p" |
			    LC_ALL=C.UTF-8 wc -L)
			[ "$widest" -gt 40 ] && [ "$widest" -le 80 ]
		done
	done
}

@test "labs: a page takes what its commands print from a run" {
	cat >page <<-'END'
	TITLE

	    not a command

	    $ one \\
	    >     more
	    old
	    $ two
	 1. A question
	    of two lines.

	    $ three

	    kept

	Text.
	END
	printf '%s\n' '$ one \' '>     more' new '' lines '' '$ two' >printed
	cat >want <<-'END'
	TITLE

	    not a command

	    $ one \\
	    >     more
	    new

	    lines
	    $ two
	 1. A question
	    of two lines.

	    $ three

	    kept

	Text.
	END
	sed -i 's/\\\\/\\/' page want
	expect 0 "$labs/show" printed page
	diff want "$out"
	expect 0 "$labs/show" /dev/null page
	diff page "$out"
	expect 2 "$labs/show" page
}

@test "labs: the foundry line is the same bytes from any awk" {
	tried=0
	for awk in awk mawk gawk original-awk; do
		command -v $awk >/dev/null || continue
		AWK=$awk "$labs/foundry/line" -x 1 3 >week
		[ "$(cksum <week)" = '3550680271 3379822' ]
		tried=$((tried + 1))
	done
	[ $tried -ge 1 ]
	# A row a minute, every row as long, times in order.
	[ "$(wc -l <week)" -eq 10081 ]
	[ "$(awk -F , '{ print NF }' week | sort -u)" = 60 ]
	cut -d , -f 1 week | sed 1d | sort -c -u
	"$labs/foundry/line" -s 2 3 | fails cmp -s - week
}

@test "labs: the foundry line tells what is wrong when asked, and only then" {
	expect 0 "$labs/foundry/line" -k -x 1 3
	grep -q '^2024-03-19T06:00:00.*valve of cooling circuit 2' "$out"
	expect 0 "$labs/foundry/line" -k 3
	[ "$(cat "$out")" = "$(printf '#since\tcause\tfirst')" ]
	"$labs/foundry/line" 3 >good
	for x in 1 2 3 4; do
		"$labs/foundry/line" -x $x 3 >bad
		fails cmp -s good bad
		diff <(sed '/T06:00/q' good) <(sed '/T06:00/q' bad)
		diff <(sed '/^2024-03-19T06:00/q' good) \
		    <(sed '/^2024-03-19T06:00/q' bad)
		fails grep -i 'foul\|wear\|valve of\|nan\|inf' bad
	done
	for o in '' 0 5 x '1 2' '-x 5 1' '-x 1' '-s x 1' '-s 123456 1' '-z 1'; do
		# shellcheck disable=SC2086	# several words
		expect 2 "$labs/foundry/line" $o
	done
}

# valve FILE: hours of rows that lie outside of what nominal rows showed of the
# valve, and what the valve lets through at one bar when it is open, in Tuesday to
# Thursday.
valve() {
	awk -F , '
	FNR == 1 {
		for (i = 1; i <= NF; i++)
			at[$i] = i
		next
	}
	NR == FNR {
		v = $at["cool2_valve"]
		if (v != "" && v > most)
			most = v
		next
	}
	$1 > "2024-03-19T06:00" && $1 < "2024-03-21T00:00" {
		v = $at["cool2_valve"] / 100
		f = $at["cool2_flow"]
		p = $at["cool_bar"]
		outside += v * 100 > most
		if (v > 0.1 && f > 0 && p > 0) {
			sum += f / (v * (0.7 + 0.3 * v) * sqrt(p))
			n++
		}
	}
	END { printf "%d %d\n", outside / 60, sum / n }' "$1" "$2"
}

@test "labs: the foundry's drift is in a relation before it is in a sensor" {
	"$labs/foundry/line" 1 >nominal
	"$labs/foundry/line" 3 >good
	"$labs/foundry/line" -x 1 3 >bad
	read -r outside through <<<"$(valve nominal good)"
	[ "$outside" -eq 0 ]
	[ "$through" -ge 360 ] && [ "$through" -le 400 ]
	read -r outside through <<<"$(valve nominal bad)"
	[ "$outside" -le 1 ]
	[ "$through" -le 345 ]
}

@test "labs: daily means of what columns say, without missing values" {
	cat >week <<-'END'
	time,recipe,line_speed,a_c,b2
	2024-03-04T00:00:00,X,100,1,4
	2024-03-04T00:01:00,X,100,2,9
	2024-03-04T00:02:00,X,100,,16
	2024-03-05T00:00:00,X,100,6,25
	2024-03-05T00:01:00,X,0,1000,1000
	END
	expect 0 "$labs/foundry/daily" week 'a_c * 2' 'sqrt(b2) + a_c' 'b2 > 9'
	printf '%s\t%s\t%s\t%s\n' 2024-03-04 3.000 4.000 0.333 \
	    2024-03-05 12.000 11.000 1.000 | diff - "$out"
	expect 1 "$labs/foundry/daily" week 'a_c + a_d'
	said "daily: no column 'a_d'"
	expect 1 "$labs/foundry/daily" none a_c
	said "daily: cannot read 'none'"
	expect 2 "$labs/foundry/daily" week
	expect 2 "$labs/foundry/charts" week
}

@test "labs: the clinical table is the package's, with names" {
	{
		echo 3,30,malignant,benign
		for i in 3 1 2; do
			echo "1,2,3,$i$(printf ',%d' {5..30}),$((i % 2))"
		done
	} >raw
	GE_LAB_TABLE=raw expect 0 "$labs/clinic/table"
	[ "$(head -n 1 "$out" | tr , '\n' | sort -u | wc -l)" -eq 33 ]
	[ "$(cut -d , -f 1,2,5,6,33 "$out")" = "patient,diagnosis,\
mean_perimeter,mean_area,size
1,benign,3,3,q3
2,benign,3,1,q1
3,malignant,3,2,q2" ]
	sed '$d' raw >short
	sed '3s/,30,/,/' raw >narrow
	for bad in short narrow /dev/null; do
		GE_LAB_TABLE=$bad expect 1 "$labs/clinic/table"
		said "table: '$bad': not the table of python3-sklearn"
		[ ! -s "$out" ]
	done
	GE_LAB_TABLE='' expect 1 "$labs/clinic/table"
	said 'table: as root, run: apt-get install python3-sklearn'
	expect 2 "$labs/clinic/table" x
}
