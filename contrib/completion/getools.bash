# Completion of the Getools programs for bash.  Source it from ~/.bashrc, or put it
# into /usr/share/bash-completion/completions, with a link for each program.
# tests/lint/completion holds the two lists to the sources.

# What getrain's first word may be.
_getools_families='lm monitor trees'

# The options of a program, or of a family, as getopt(3) writes them.
_getools_options() {
	case $1 in
	gefrag)		echo 'b:d:fj:k:N:n:O:o:P:pqr:S:vz' ;;
	gejoin)		echo 'fi:j:m:O:o:P:qR:V:v' ;;
	gels)		echo 'j:O:qs:V:vx:' ;;
	gepredict)	echo 'j:O:qv' ;;
	gepull)		echo 'j:m:O:qR:s:V:vx:' ;;
	gepush)		echo 'j:O:qS:s:tvx:' ;;
	gerepair)	echo 'j:m:O:qS:s:tV:vx:' ;;
	germ)		echo 'fj:O:qs:tV:vx:' ;;
	getrain-lm)	echo 'fi:j:O:o:qtv' ;;
	getrain-monitor)
			echo 'fj:O:o:qtv' ;;
	getrain-trees)	echo 'fj:O:o:qtv' ;;
	geverify)	echo 'c:fj:m:O:o:qs:V:vx:' ;;
	esac
}

# What -O takes.
_getools_rare() {
	local pin='digest= set='
	local net='ca= connect= stall= state= total= tries='
	local table='digest= entries= group= header=auto header=no header=yes'
	table="$table only= ratio= sep=auto sep=comma sep=semicolon sep=space"
	table="$table sep=tab skip= target= time= unpacked= weight="
	case $1 in
	gefrag)		echo 'payload=' ;;
	gejoin)		echo "$pin" ;;
	gels)		echo "$pin $net" ;;
	gepredict)
		echo "ctx= entries= format=json format=line format=prometheus" \
		    "format=raw format=text format=tsv header=auto header=no" \
		    "header=yes length= nll prec=bf16 prec=f32 ratio= rule=" \
		    "seed= sep=auto sep=comma sep=semicolon sep=space sep=tab" \
		    "state= stop= temperature= top-k= top-p= unpacked= whole" ;;
	gepull)		echo "$pin $net" ;;
	gepush)		echo "quorum= s3-unsigned verify=full $pin $net" ;;
	gerepair)	echo "blind s3-unsigned $pin $net" ;;
	germ)		echo "shares $pin $net" ;;
	getrain-lm)
		echo "adapter alpha= batch= beta1= beta2= checkpoint=" \
		    "checkpoints= clip= course= ctx= decay= digest= dim=" \
		    "document= dtype=bf16 dtype=f32 entries= epochs= eps=" \
		    "eval= every= ff= gco2= gguf head= heads= joules= kv=" \
		    "layers= len= log= lora= lr-end= lr= minutes= outer=" \
		    "prec=bf16 prec=f32 ratio= resume schedule=cosine" \
		    "schedule=wsd seed= shards= size= split=gpt2 split=llama3" \
		    "steps= theta= tied=no tied=yes together= tokenizer=" \
		    "tokens= unpacked= val= vocab= warmup=" ;;
	getrain-monitor)
		echo "far= gco2= hinges=no hinges=yes hold= lags= modes=" \
		    "nominal= rows= $table" ;;
	getrain-trees)
		echo "alpha= balance bins= by= cap= colsample= combine=" \
		    "coverage= decide=accuracy decide=balanced decide=f1" \
		    "decide=likely depth= eta= folds= gamma= gco2= hold=" \
		    "joules= lags= lambda= life min-child= minutes= patience=" \
		    "positive= rounds= search= seed= subsample= task=classes" \
		    "task=number $table" ;;
	geverify)	echo "afr= all alone blind common= format=json" \
			    "format=prometheus format=text loss= repair-days=" \
			    "$pin $net" ;;
	esac
}

# The names in a sites file.
_getools_sites() {
	local name rest
	while read -r name rest; do
		case $name in
		'' | '#'* | .*)	;;
		*)		echo "$name" ;;
		esac
	done <"$1"
} 2>/dev/null

_getools_opt() {
	compopt "$@" 2>/dev/null || :
}

_getools() {
	local prog=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]}
	local options word letter rest takes='' sites='' ended='' first=1 i words
	COMPREPLY=()
	if [ "$prog" = getrain ]; then
		if [ "$COMP_CWORD" -eq 1 ]; then
			_getools_opt +o default
			words="$_getools_families --help --version"
			while IFS= read -r word; do
				COMPREPLY+=("$word")
			done < <(compgen -W "$words" -- "$cur")
			return
		fi
		prog=getrain-${COMP_WORDS[1]}
		first=2
	fi
	options=$(_getools_options "$prog")
	# Which option wants the word before the cursor, and which sites file?
	for ((i = first; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [ -n "$takes" ]; then
			[ "$takes" != s ] || sites=$word
			# bash makes words of "name", "=" and "value".
			if [ "${COMP_WORDS[i + 1]}" = '=' ]; then
				i=$((i + 2))
				[ "$i" -lt "$COMP_CWORD" ] || break
			fi
			takes=
			continue
		fi
		case $word in
		--)	ended=1
			break ;;
		-?*)	;;
		*)	ended=1
			break ;;
		esac
		rest=${word#-}
		while [ -n "$rest" ]; do
			letter=${rest:0:1}
			rest=${rest:1}
			case $options in
			*"$letter:"*)
				[ -n "$rest" ] || takes=$letter
				[ "$letter" != s ] || sites=$rest
				break ;;
			esac
		done
	done
	words=
	case $takes in
	'')	case $ended$cur in
		-*)	words='--help --version'
			while [ -n "$options" ]; do
				words="$words -${options:0:1}"
				options=${options:1}
				options=${options#:}
			done ;;
		*)	[ "$prog" != gels ] ||
			_getools_opt +o default
			return ;;		# operands are files
		esac ;;
	O)	words=$(_getools_rare "$prog")
		_getools_opt +o default
		# bash has cut "format=json" in three.
		word=
		if [ "$cur" = '=' ]; then
			word=${COMP_WORDS[COMP_CWORD - 1]} cur=''
		elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = '=' ]; then
			word=${COMP_WORDS[COMP_CWORD - 2]}
		fi
		if [ -n "$word" ]; then
			rest=
			for i in $words; do
				case $i in
				"$word="?*)	rest="$rest ${i#*=}" ;;
				esac
			done
			words=$rest
		fi ;;
	x)	_getools_opt +o default
		sites=${sites/#\~\//$HOME/}
		[ -z "$sites" ] || words=$(_getools_sites "$sites") || : ;;
	d)	_getools_opt -o dirnames
		return ;;
	[imoPrSsV])
		return ;;			# files
	*)	_getools_opt +o default
		return ;;
	esac
	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen -W "$words" -- "$cur")
	case ${COMPREPLY[0]-} in
	*=)	_getools_opt -o nospace ;;
	esac
}

complete -o default -F _getools gefrag gejoin gels gepredict gepull gepush \
    gerepair germ getrain geverify
