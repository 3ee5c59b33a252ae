load helper

# What the manual pages and README show is run as it stands there, page by page,
# in a folder that holds what they take for granted.

# examples PAGE: the lines of its examples, as they look to a reader: "$ "
# begins a command, "> " continues it, other lines are its output.
examples() {
	case $1 in
	*/README)
		awk '/^ *\$ / { on = 1 }
		    on && !/^(\t|    )/ { on = 0; print "" }
		    on { sub(/^(\t|    )/, ""); print }' "$1" ;;
	*)
		awk '/^\.Bd -literal/ { n = 0; on = 1; next }
		    /^\.Ed/ { on = 0; next }
		    on && n++ == 0 && !/^\$ / { on = 0 }
		    on { gsub(/\\e/, "\\"); gsub(/\\&/, ""); print }' "$1" ;;
	esac
}

# script PAGE: its examples as a shell script that leaves of the I-th command
# what it printed in $run/I.out and $run/I.err, and a status other than 0 in
# $run/I.failed; what it should print in $run/I.want.
script() {
	examples "$1" | awk -v run="$run" '
	function close_command() {
		if (i > 0 && open)
			printf "\n} >%s/%d.out 2>%s/%d.err || echo $? >%s/%d.failed\n",
			    run, i, run, i, run, i
		open = 0
	}
	/^\$ / {
		close_command()
		i++
		open = 1
		printf "{\n%s\n", substr($0, 3)
		print substr($0, 3) >(run "/" i ".command")
		printf "" >(run "/" i ".want")
		next
	}
	/^>( |$)/ && open {
		print substr($0, 3)
		print substr($0, 3) >(run "/" i ".command")
		next
	}
	i > 0 {
		close_command()
		print >(run "/" i ".want")
	}
	END { close_command() }'
}

# loosely: what differs from run to run made alike.
loosely() {
	sed -e 's/[0-9a-f]\{32,\}/ID/g' -e 's/[0-9][0-9.]*/N/g' \
	    -e "s/[[:space:]]\{1,\}/ /g" -e 's/ $//' -e '/^$/d' "$@"
}

# run_page PAGE: run its examples, in order.
run_page() {
	local i=0 n
	run=$BATS_TEST_TMPDIR/run
	mkdir "$run" records
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	words 20000 >records/list
	bytes 3000 >records/photo
	mkdir records/old
	echo remember >records/old/note
	bytes 3000000 7 >report.pdf
	script "$1" >"$run/script"
	sh "$run/script" </dev/null
	n=$(find "$run" -name '*.command' | wc -l)
	[ "$n" -gt 0 ]
	while [ $((++i)) -le "$n" ]; do
		if [ -e "$run/$i.failed" ]; then
			echo "status $(cat "$run/$i.failed"): $(cat "$run/$i.command")"
			cat "$run/$i.err"
			return 1
		fi
		case $1 in
		*/README)
			# Sizes, times and ids are those of another run.
			cat "$run/$i.out" "$run/$i.err" | loosely >"$run/got"
			loosely "$run/$i.want" | grep -vxF ... >"$run/want" ||
			    continue
			while IFS= read -r line; do
				grep -qxF -- "$line" "$run/got" && continue
				echo "not printed: $line"
				cat "$run/$i.command" "$run/got"
				return 1
			done <"$run/want" ;;
		*)
			diff "$run/$i.want" "$run/$i.out" && continue
			cat "$run/$i.command"
			return 1 ;;
		esac
	done
}

@test "pipeline: the examples of gefrag(1) do what they show" {
	run_page "$GE_TOP/man/gefrag.1"
}

@test "pipeline: the examples of gejoin(1) do what they show" {
	run_page "$GE_TOP/man/gejoin.1"
}

@test "pipeline: the examples of geverify(1) do what they show" {
	run_page "$GE_TOP/man/geverify.1"
}

@test "pipeline: the examples of gerepair(1) do what they show" {
	run_page "$GE_TOP/man/gerepair.1"
}

@test "pipeline: the examples of gels(1) do what they show" {
	run_page "$GE_TOP/man/gels.1"
}

@test "pipeline: the examples of germ(1) do what they show" {
	run_page "$GE_TOP/man/germ.1"
}

@test "pipeline: the examples of gepredict(1) do what they show" {
	printf '%s\n' 'the quick brown fox jumps over the lazy dog' \
	    'one two three four five six seven' \
	    'roses are red\nviolets are blue' |
	    "$GE_BUILD/tool/tinylm" 150 model
	process 1500 7 >nominal.csv
	process 400 99 200 2 15 >line3.csv
	sed '/T00:2/q' line3.csv >monday.csv
	sed -e '1p' -e '1,/T00:2/d' line3.csv >tuesday.csv
	patients 600 7 >patients.csv
	patients 200 99 >today.csv
	run_page "$GE_TOP/man/gepredict.1"
}

@test "pipeline: the examples of gepush(1) do what they show" {
	run_page "$GE_TOP/man/gepush.1"
}

@test "pipeline: the examples of gepull(1) do what they show" {
	export HOME=$PWD
	run_page "$GE_TOP/man/gepull.1"
}

@test "pipeline: the examples of getrain(1) do what they show" {
	cp -r "$GE_TOP/man" pages
	tar cf pages.tar pages
	run_page "$GE_TOP/man/getrain.1"
	[ "$(wc -c <text)" -gt 1 ]
}

@test "pipeline: the examples of getrain-monitor(1) do what they show" {
	process 8640 7 >nominal.csv
	process 400 99 200 2 15 >today.csv
	run_page "$GE_TOP/man/getrain-monitor.1"
}

@test "pipeline: the examples of getrain-trees(1) do what they show" {
	patients 600 7 >patients.csv
	run_page "$GE_TOP/man/getrain-trees.1"
}

@test "pipeline: the story of ge(7) goes as it is told" {
	run_page "$GE_TOP/man/ge.7"
}

@test "pipeline: the examples of ge-manifest(5) do what they show" {
	run_page "$GE_TOP/man/ge-manifest.5"
}

@test "pipeline: no other manual page has examples that nobody runs" {
	for page in "$GE_TOP"/man/*; do
		case ${page##*/} in
		gefrag.1 | gejoin.1 | gels.1 | gepredict.1 | gepull.1 | \
		    gepush.1 | gerepair.1 | germ.1 | getrain.1 | \
		    getrain-monitor.1 | getrain-trees.1 | geverify.1 | ge.7 | ge-manifest.5)
			continue ;;
		esac
		fails grep '^\$ ' "$page"
	done
}

@test "pipeline: every option of a program stands in its manual page" {
	for p in gefrag gejoin gels gepredict gepull gepush gerepair germ \
	    getrain geverify; do
		expect 0 $p --help
		flags=$(tr -d '\n' <"$out" | grep -o '[[ ]-[a-zA-Z]*' |
		    tr -d '[ \n-')
		[ ${#flags} -ge 4 ]
		for ((i = 0; i < ${#flags}; i++)); do
			grep -q "^\.It Fl ${flags:i:1}\( \|$\)" \
			    "$GE_TOP/man/$p.1" || {
				echo "$p -${flags:i:1}"
				return 1
			}
		done
		# And the other way round.
		for o in $(sed -n 's/^\.It Fl \([a-zA-Z]\).*/\1/p' \
		    "$GE_TOP/man/$p.1"); do
			[ -z "${flags##*"$o"*}" ]
		done
	done
}

# settings FILE ...: the names that -O takes there.
settings() {
	sed -n -e 's/^\t\t{ "\([a-z0-9-]*\)", [A-Z]*, .*/\1/p' \
	    -e 's/.*cli_option(arg, "\([a-z0-9-]*\)").*/\1/p' "$@"
	grep -ho '{ "[a-z0-9]*", &o->' "$@" | cut -d '"' -f 2
}

# documented PAGE N NAME ...: each of at least N names is an -O of the page.
documented() {
	page=$GE_TOP/man/$1
	[ $(($# - 2)) -ge "$2" ]
	shift 2
	for o; do
		grep '^\.It Fl O' "$page" | grep -q "Cm $o\( \|$\)" || {
			echo "-O $o"
			return 1
		}
	done
}

@test "pipeline: every setting of getrain and gepredict stands in its page" {
	cd "$GE_TOP/cmd"
	# shellcheck disable=SC2046	# words
	documented getrain.1 40 $(settings train_lm.c)
	# shellcheck disable=SC2046
	documented getrain-monitor.1 15 $(settings train_monitor.c tables.c |
	    grep -vx 'target\|weight')
	# shellcheck disable=SC2046
	documented getrain-trees.1 30 $(settings train_trees.c tables.c)
	# shellcheck disable=SC2046
	documented gepredict.1 18 $(sed -n '/ names\[\] = /,/};/p' \
	    predict_*.c | grep -o '"[^"]*"' | tr -d '"')
}

@test "pipeline: what README shows is what happens" {
	run_page "$GE_TOP/README"
}

@test "pipeline: send, lose two hosts and a block, audit, repair, read" {
	mkdir -p tree/a/b back
	words 300000 >tree/text
	bytes 300000 >tree/a/noise
	ln -s ../text tree/a/link
	: >tree/a/b/empty
	tar cf - tree | gefrag -z -O payload=256k >s
	for i in 0 1 2 3 4 5 6 7 8; do
		mkdir host$i
		tar xf s -C host$i --wildcards "*.0$i.gef"
	done
	rm -r host0 host4
	mkdir host0 host4
	gejoin -q host? | tar xf - -C back
	diff -r tree back/tree
	flip host1/*/0000000000.01.gef 3000
	geverify -q host? >report || status=$?
	[ $status -eq 3 ]
	gerepair -q host? <report
	expect 0 geverify -q host?
	# Byte for byte what was sent, each index where it was.
	[ "$(cat host?/*/*.gef | cksum)" = \
	    "$(tar xOf s --wildcards '*.gef' | cksum)" ]
	# From any six again, as one stream through a pipe.
	tar cf - host2 host3 host0 host4 host8 host5 | cat | gejoin -q |
	    tar tf - >names
	grep -qx tree/a/b/empty names
}

@test "pipeline: a stream is what tar makes of it, there and back" {
	bytes 100000 >in
	gefrag "${SMALL[@]}" <in | tar xf -
	tar cf - -- ????????????????????????????????/ | gejoin | cmp - in
	# A set within a set.
	gefrag "${SMALL[@]}" in | gefrag -z | gejoin | gejoin | cmp - in
	# Many in a row.
	for i in 1 2 3; do
		bytes $((i * 9999)) $i | gefrag "${SMALL[@]}" |
		    gejoin | cmp - <(bytes $((i * 9999)) $i)
	done
}
