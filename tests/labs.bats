load helper

# The labs' pages show what their commands do: the commands are run here, with
# small texts and models that have learnt next to nothing.

lab=$GE_TOP/contrib/labs/lm

# commands PAGE: its commands, which are not translated.
commands() {
	grep '^    [$>] ' "$1"
}

@test "labs: all commands of lm do their work" {
	# Without Debian's pages, ours.
	if ! dpkg -L manpages-fr manpages >/dev/null 2>&1; then
		export GE_LAB_MAN=$GE_TOP/man
	fi
	expect 0 "$lab/run" -q lab
	# All of them were run and shown, but for what needs gnuplot.
	[ "$(grep -c '^\$ ' "$out")" -ge \
	    "$(commands "$lab/README.en" | grep -v plot-loss | grep -c '[$] ')" ]
	[ "$(tail -n 1 "$out")" = 'the same' ]
	# The weights on one thread are those on many.
	[ "$(sed -n '/^\$ sha256sum/,/^\$ echo/p' "$out" |
	    grep -v '^[$>]' | sort -u | wc -l)" -eq 1 ]
	[ -z "$(ls -A "$TMPDIR")" ]
}

@test "labs: a command that fails ends the run" {
	GE_LAB_MAN=$PWD/nothing expect 1 "$lab/run" -q lab
	[ "$(grep -c '^\$ ' "$out")" -eq 1 ]
	expect 2 "$lab/run"
	expect 1 "$lab/pages" no-such-package new
	said 'pages: as root, run: apt-get install no-such-package'
	[ ! -e new ]
}

@test "labs: a page of each package, without addresses" {
	mkdir man
	printf '.TH X 1\n.SH NOM\nx \\- un  essai\n.PP\nUn <a@b.c>\n' >man/x.1
	printf 'text\n' >man/README
	GE_LAB_MAN=$PWD/man expect 0 "$lab/pages" any fr
	[ "$(ls fr)" = x.1.txt ]
	grep -qx 'x - un essai' fr/x.1.txt
	fails grep '@' fr/x.1.txt
}

@test "labs: the pages have the same commands in both languages, in 80 columns" {
	diff <(commands "$lab/README.en") <(commands "$lab/README.fr")
	# What programs print is as long as it is.
	for p in "$lab"/README.*; do
		[ "$(grep -v '^    [^$>]' "$p" | LC_ALL=C.UTF-8 wc -L)" -le 80 ]
	done
}
