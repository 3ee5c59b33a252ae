load helper

# tests/lint/completion holds the lists to the sources; here is what they are for.

# completes LINE WORD ...: the last word of LINE is completed to just these.  As bash
# does it, "=" is a word of its own.
completes() {
	local line=$1
	shift
	COMP_WORDS=()
	COMPREPLY=()
	read -ra COMP_WORDS <<<"${line//=/ = }"
	[[ $line != *[\ =] ]] || COMP_WORDS+=('')
	if [[ $line == *= ]]; then
		unset 'COMP_WORDS[-1]'
	fi
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_getools
	diff <(printf '%s\n' "$@" | sort) <(printf '%s\n' "${COMPREPLY[@]}" | sort)
}

load_completion() {
	. "$GE_TOP/contrib/completion/getools.bash"
	cat >sites <<-'END'
	# a comment
	.within   fr

	adista  file:///srv/a   operator=a
	  sdv   file:///srv/b   operator=b
	attic   file:///srv/c   operator=c  # not a site
	END
}

@test "completion: options, and none after an operand" {
	load_completion
	completes 'gels -' --help --version -j -O -q -s -V -v -x
	completes 'germ --h' --help
	completes 'germ -f --v' --version
	completes 'germ label -' ''
	completes 'germ -- -' ''
	for p in gefrag gejoin gels gepull gepush gerepair germ geverify; do
		complete -p $p
		COMP_WORDS=($p -) COMP_CWORD=1
		_getools
		[ ${#COMPREPLY[@]} -ge 8 ]
	done
}

@test "completion: the names of -x are those of the sites file" {
	load_completion
	completes 'gels -s sites -x ' adista sdv attic
	completes 'gels -qs sites -x a' adista attic
	completes 'gerepair -ssites -v -x adista -x s' sdv
	completes "gepush -O stall=3 -O s3-unsigned -s sites -qx " \
	    adista sdv attic
	HOME=$PWD completes 'gels -s ~/sites -x s' sdv
	completes 'gels -x ' ''
	completes 'gels -s nowhere -x ' ''
}

@test "completion: what -O takes, and its values" {
	load_completion
	completes 'germ -f -O s' set= shares stall= state=
	completes 'geverify -O format' format=json format=prometheus format=text
	completes 'geverify -O format=' json prometheus text
	completes 'geverify -O format=p' prometheus
	completes 'gepush -O verify=f' full
	completes 'gepush -O quorum=' ''
	completes 'gefrag -O ' payload=
}

@test "completion: getrain's families, each with what it takes" {
	load_completion
	completes 'getrain m' monitor
	completes 'getrain --v' --version
	completes 'getrain monitor -' --help --version -f -j -O -o -q -t -v
	completes 'getrain monitor -q -O ho' hold=
	completes 'getrain monitor -O sep=s' semicolon space
	completes 'getrain trees -O task=' classes number
	completes 'getrain lm -O vo' vocab=
	completes 'getrain lm -O fa' ''
	completes 'getrain nothing -' --help --version
	completes 'getrain monitor week' ''
}

@test "completion: files, numbers and operands are left to the shell" {
	load_completion
	completes 'gejoin -m ' ''
	completes 'gejoin -o x' ''
	completes 'gefrag -k ' ''
	completes 'gefrag ' ''
	completes 'gepull -s sites m' ''
}
