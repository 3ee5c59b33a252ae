# What the programs do alike, each of them.

load helper

ALL=(gefrag gejoin gels gepull gepush gerepair germ geverify)
REMOTE=(gels gepull gepush gerepair germ geverify)
OLDER='an older manifest will not be noticed: neither XDG_STATE_HOME nor HOME is a place to remember serials (or name one with -O state=dir)'

# three: a sites file with the folders a, b and c.
three() {
	local s
	for s in a b c; do
		mkdir $s
		echo "$s file://$PWD/$s operator=$s region=$s country=fr"
	done >sites
}

@test "options that nobody knows are named as they were written" {
	for p in "${ALL[@]}"; do
		expect 2 "$p" --nonsense
		[ "$(head -n 1 "$err")" = "$p: '--nonsense': no such option" ]
		expect 2 "$p" --nonsense=x y
		[ "$(head -n 1 "$err")" = "$p: '--nonsense=x': no such option" ]
		expect 2 "$p" -q --version
		[ "$(head -n 1 "$err")" = "$p: '--version' stands alone" ]
		expect 2 "$p" -X
		[ "$(head -n 1 "$err")" = "$p: -X: no such option" ]
		expect 2 "$p" -qX
		[ "$(head -n 1 "$err")" = "$p: -X: no such option" ]
		expect 2 "$p" -O
		[ "$(head -n 1 "$err")" = "$p: -O: its argument is missing" ]
	done
}

@test "an option after an operand is refused, unless it is a file or -- stands before" {
	: >x
	for p in "${ALL[@]}"; do
		expect 2 "$p" x -q
		said "$p: '-q': options come before operands"
		expect 2 "$p" x --quiet
		said "$p: '--quiet': options come before operands"
	done
	three
	expect 4 gels -s sites -- -q
	said "gels: '-q': no such set or label"
	expect 4 gels -s sites -- y -q
	bytes 100 >./-in
	gefrag "${SMALL[@]}" -d d -- -in
	gefrag "${SMALL[@]}" -o -set.ge ./-in
	# Standard input is an operand, and so is a file of any name.
	gejoin - <-set.ge | cmp - ./-in
	expect 0 gejoin -q -- -set.ge
	cmp "$out" ./-in
	cp ./-set.ge set.ge
	expect 0 gejoin -q -o back set.ge -set.ge
	cmp back ./-in
	expect 0 geverify -q - <-set.ge
	expect 0 gepush -q -s sites -- -set.ge
	cp "$out" ./-m
	expect 0 geverify -q -s sites -- -m
	expect 0 gepull -q -s sites -- -m
	expect 0 germ -f -s sites -- -m
}

@test "-s and -S stand once" {
	keys
	three
	for p in "${REMOTE[@]}"; do
		expect 2 "$p" -s sites -s sites x
		said "$p: -s: given twice"
	done
	for p in gefrag gepush gerepair; do
		expect 2 "$p" -S sign.pem -S other.pem x
		said "$p: -S: given twice"
	done
}

@test "-O state= and -O ca= without a path are refused" {
	three
	for p in "${REMOTE[@]}"; do
		for o in state ca; do
			for v in "$o=" "$o"; do
				expect 2 "$p" -s sites -O $v x
				said "$p: $o: its path is missing"
			done
		done
	done
}

@test "with no place for serials it is said once that none are remembered" {
	three
	gefrag "${SMALL[@]}" -o x.ge <<<x
	env -u HOME -u XDG_STATE_HOME gepush -s sites x.ge >m 2>"$err"
	said "gepush: $OLDER"
	for home in '' relative "$PWD/none"; do
		expect 0 env -u XDG_STATE_HOME HOME="$home" gels -s sites
		said "gels: $OLDER"
		expect 0 env XDG_STATE_HOME=relative HOME="$home" \
		    geverify -s sites m
		[ "$(grep -cF "$OLDER" "$err")" -eq 1 ]
		expect 0 env -u XDG_STATE_HOME HOME="$home" gels -q -s sites
		said
		expect 0 env -u XDG_STATE_HOME HOME="$home" \
		    gels -s sites -O state="$PWD/state"
		said
	done
	# A home that is not there is not made; what is below one that is, is.
	[ ! -e none ] && [ ! -e relative ]
	mkdir none
	expect 0 env -u XDG_STATE_HOME HOME="$PWD/none" gels -s sites
	said
	[ "$(find none -type f | wc -l)" -eq 1 ]
	expect 0 env XDG_STATE_HOME="$PWD/new" gels -s sites
	said
	[ "$(find new -type f | wc -l)" -eq 1 ]
}

# synopsis PROGRAM: a form a line, from its manual page.
synopsis() {
	mandoc -T ascii -O width=500 "$GE_TOP/man/$1.1" | col -b |
	    sed -e '1,/^SYNOPSIS/d' -e '/^DESCRIPTION/,$d' -e 's/^ *//' \
	    -e '/--help/d' -e '/^$/d'
}

# usage PROGRAM: the same from its own words.
usage() {
	"$1" --help | sed 's/^usage: //' | tr -s ' \n' ' ' |
	    sed -e "s/ $1 /\\n$1 /g" -e 's/ $//'
	echo
}

@test "the usage of a program is the synopsis of its manual page" {
	command -v mandoc >/dev/null || skip 'no mandoc'
	for p in "${ALL[@]}"; do
		diff <(synopsis $p) <(usage $p)
	done
}

@test "-O s3-unsigned is for those who put objects" {
	three
	for p in gels gepull germ geverify; do
		expect 2 "$p" -s sites -O s3-unsigned x
		said "$p: -O 's3-unsigned': no such option"
	done
	gefrag "${SMALL[@]}" -o x.ge <<<x
	expect 0 gepush -s sites -O s3-unsigned x.ge
	cp "$out" m
	expect 0 gerepair -s sites -O s3-unsigned m
	expect 2 gerepair -O s3-unsigned .
	said 'gerepair: -O is for sites: name them with -s'
}

@test "what is said of a report comes after it, where both go to one place" {
	three
	gefrag "${SMALL[@]}" -N x -o x.ge <<<x
	gepush -q -s sites x.ge >m
	gels -v -s sites >both 2>&1
	[ "$(head -n 1 both | cut -c 1-4)" = '#set' ]
	[ "$(sed -n 3p both)" = "gels: 1 set, $(cat [abc]/*/* | wc -c |
	    awk '{ printf "%.1f", $1 / 1024 }') KiB stored" ]
	geverify -v -s sites m >both 2>&1
	[ "$(sed -n 5p both | cut -d ' ' -f 1-2)" = 'geverify: set' ]
	germ -v -f -s sites m >both 2>&1
	[ "$(tail -n 1 both)" = "germ: set $(sed -n 's/^set //p' m): objects removed: 6" ]
	for p in 'gels -v' geverify 'germ -t'; do
		status=0
		$p -s sites m >/dev/full 2>"$err" || status=$?
		[ $status -eq 1 ] || [ $status -eq 4 ]
		told 'cannot write standard output: No space left on device'
	done
}

@test "what is wrong with the command line is said in words" {
	three
	for p in "${REMOTE[@]}"; do
		expect 2 "$p" -s - x
		said "$p: -s -: the sites file is never the standard input"
	done
	for p in gepull gerepair; do
		expect 2 "$p" -s sites a b c </dev/null
		said "$p: one set at a time: operands given: 3"
		expect 2 "$p" -s sites -m a b </dev/null
		said "$p: -m and an operand both name the set: give one of them"
	done
	expect 2 gerepair </dev/null
	said 'gerepair: which folders? or name sites with -s'
	expect 2 gerepair -x a d </dev/null
	said 'gerepair: -x is for sites: name them with -s'
	expect 2 gels -s /dev/zero
	said "gels: '/dev/zero' is too long: more than 4194304 bytes"
}
