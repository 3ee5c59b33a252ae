# Sites on real servers, for suites that say `load helper` and `load servers`.
#
# Servers start when a test first wants them, once a file, and are stopped after its
# last test; each test has folders of its own on them.  A test whose server is not
# installed is skipped.  What a test breaks is mended after it.

SERVERS=$BATS_TEST_DIRNAME/servers
FAULT=$BATS_TEST_DIRNAME/tool/fault

# The tests of a file share its servers, so they run one after the other.  A file
# that defines one of these three itself does what stands here.
setup_file() {
	export BATS_NO_PARALLELIZE_WITHIN_FILE=true
}

teardown() {
	sites_heal
}

teardown_file() {
	servers_stop
}

# server KIND: the script for it.  S3 is Swift, or what GE_S3 says: ceph.
server() {
	case $1 in
	s3)		echo "${GE_S3-swift}" ;;
	s3s)		echo swift ;;
	sftp)		echo sshd ;;
	dav | davs)	echo dav ;;
	esac
}

# servers_start KIND ...: nine sites of each, if they are not there.  For setup_file,
# where one that is not installed is no matter yet.
servers_start() {
	local kind s d ca=$BATS_FILE_TMPDIR/servers/ca
	for kind; do
		s=$(server "$kind")
		d=$(server_dir "$kind")
		if [ -z "$s" ] || [ -e "$d/up" ] || [ -n "$("$SERVERS/$s" have)" ]
		then
			continue
		fi
		mkdir -p "${d%/*}"
		[ "$kind" = sftp ] || [ -e "$ca" ] || "$SERVERS/ca" "$ca" || return
		case $kind in
		s3)	"$SERVERS/$s" start "$d" 9 ;;
		*)	GE_TLS=$ca "$SERVERS/$s" start "$d" 9 ;;
		esac || return
		: >"$d/up"
	done
}

server_dir() {
	case $1 in
	s3s)	echo "$BATS_FILE_TMPDIR/servers/swift-tls" ;;
	*)	echo "$BATS_FILE_TMPDIR/servers/$(server "$1")" ;;
	esac
}

servers_stop() {
	local d s
	for d in "$BATS_FILE_TMPDIR/servers"/*/conf; do
		[ -e "$d" ] || continue
		d=${d%/conf}
		s=${d##*/}
		"$SERVERS/${s%-tls}" stop "$d"
	done
}

# nine KIND: a file ./sites with nine sites, their servers started.  KIND is
#	file sftp s3 davs	all alike
#	s3s			S3 with TLS
#	dav			WebDAV without
#	mixed			S3 1 to 3, SFTP 4 and 5, WebDAV 6 and 7, folders 8 and 9
# Site I is called siteI; operator opI, region rI, country fr.
nine() {
	local i kind missing
	SITE_KIND=(-)
	for ((i = 1; i <= 9; i++)); do
		kind=$1
		if [ "$1" = mixed ]; then
			case $i in
			[123])	kind=s3 ;;
			[45])	kind=sftp ;;
			[67])	kind=davs ;;
			*)	kind='file' ;;
			esac
		fi
		SITE_KIND+=("$kind")
		[ "$kind" != 'file' ] || continue
		missing=$("$SERVERS/$(server "$kind")" have)
		[ -z "$missing" ] || skip "not installed:" $missing
		servers_start "$kind" || return
	done
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME"
	unset "${!AWS_@}" "${!CURL_@}" SSH_AUTH_SOCK http_proxy https_proxy \
	    all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY \
	    SSL_CERT_FILE SSL_CERT_DIR
	export AWS_SHARED_CREDENTIALS_FILE=$(server_dir s3)/aws-credentials
	[ "$1" != s3s ] ||
		AWS_SHARED_CREDENTIALS_FILE=$(server_dir s3s)/aws-credentials
	export AWS_CONFIG_FILE=$BATS_TEST_TMPDIR/none
	SITE_LIST=()
	for kind in "${SITE_KIND[@]:1}"; do
		i=$((${#SITE_LIST[@]} + 1))
		SITE_LIST+=("$(site_line "$i")")
		mkdir -p "$(site_folder "$i")"
	done
	printf '%s\n' "${SITE_LIST[@]}" >sites
}

# site_line I: of the sites file.
site_line() {
	local n url opts plain kind=${SITE_KIND[$1]}
	if [ "$kind" = 'file' ]; then
		url=file://$(site_folder "$1") opts=
	else
		IFS=$'\t' read -r n url opts plain < <(
			"$SERVERS/$(server "$kind")" list "$(server_dir "$kind")" |
			    sed -n "$1p")
		[ "$kind" != dav ] || IFS=' ' read -r url opts <<<"$plain"
		url=$url/$(site_prefix)
	fi
	printf 'site%s\t%s\t%s\toperator=op%s region=r%s country=fr\n' "$1" \
	    "$url" "$opts" "$1" "$1"
}

# site_prefix: this test's own folder on each site.
site_prefix() {
	echo "t$BATS_TEST_NUMBER"
}

# now_at MANIFEST: "SEGMENT INDEX SITE", where each is by the last line about it.
now_at() {
	awk '$1 == "place" { split($3, r, "-")
	    for (s = r[1]; s <= r[2]; s++) for (i = 4; i <= NF; i++) {
		split($i, p, "=")
		at[s " " p[1]] = p[2] } }
	    END { for (f in at) print f, at[f] }' "$1" | sort -n
}

# site_folder I: where the files of a site are on disk; nothing for S3.
site_folder() {
	local d
	d=$(server_dir "${SITE_KIND[$1]}")/$1/data
	case ${SITE_KIND[$1]} in
	file)		echo "$BATS_TEST_TMPDIR/work/host$1" ;;
	sftp)		echo "$d/$(site_prefix)" ;;
	dav | davs)	echo "$d/ge/$(site_prefix)" ;;
	*)		echo "$BATS_TEST_TMPDIR/work" ;;
	esac
}

# on_disk I: it has such a folder.
on_disk() {
	case ${SITE_KIND[$1]} in
	s3*)	return 1 ;;
	esac
}

site_do() {
	local kind=${SITE_KIND[$2]}
	"$SERVERS/$(server "$kind")" "$1" "$(server_dir "$kind")" "$2"
	echo "$1 $2 $kind" >>"$BATS_TEST_TMPDIR/hurt"
}

# site_kill I: its process is killed, a folder is taken away; site_begin I: it is
# there again, with what it had.
site_kill() {
	if [ "${SITE_KIND[$1]}" = 'file' ]; then
		mv "$(site_folder "$1")" "$(site_folder "$1").gone"
	else
		site_do kill "$1"
	fi
}

site_begin() {
	if [ "${SITE_KIND[$1]}" = 'file' ]; then
		mv "$(site_folder "$1").gone" "$(site_folder "$1")"
	else
		site_do begin "$1"
	fi
}

# site_freeze I: it takes connections and says nothing; not for a folder.
# site_thaw I: it goes on.
site_freeze() {
	site_do freeze "$1"
}

site_thaw() {
	site_do thaw "$1"
}

# sites_heal: no harm, nothing frozen, all there.
sites_heal() {
	local what i kind f
	for f in "$BATS_TEST_TMPDIR"/fault.*; do
		[ ! -e "$f" ] || "$FAULT" stop "$f"
	done
	[ -e "$BATS_TEST_TMPDIR/hurt" ] || return 0
	cut -d ' ' -f 2- "$BATS_TEST_TMPDIR/hurt" | sort -u |
	    while read -r i kind; do
		"$SERVERS/$(server "$kind")" thaw "$(server_dir "$kind")" "$i"
		"$SERVERS/$(server "$kind")" begin "$(server_dir "$kind")" "$i"
	done
	rm "$BATS_TEST_TMPDIR/hurt"
}

# fault I JSON: between the programs and site I stands a proxy with these rules, see
# tests/tool/faultproxy.py; ./sites leads to it.  Not for a folder.
fault() {
	local d=$BATS_TEST_TMPDIR/fault.$1 kind=${SITE_KIND[$1]} port new mode
	port=$(site_port "$1")
	if ! [ -e "$d/ports" ]; then
		case $kind in
		s3)	mode='http' ;;
		s3s | davs)
			mode='https' ;;
		dav)	mode='http' ;;
		sftp)	mode='tcp' ;;
		*)	return 1 ;;
		esac
		GE_TLS=$BATS_FILE_TMPDIR/servers/ca "$FAULT" start "$d" "$mode" \
		    "$d/ports" "$([ $mode = tcp ] || echo $mode:)127.0.0.1:$port" ||
			return
		new=$(cat "$d/ports")
		sed -i "$1s/:$port/:$new/" sites
		if [ "$kind" = sftp ]; then
			sed -n "s/^\[127.0.0.1\]:$port /[127.0.0.1]:$new /p" \
			    "$(server_dir sftp)/known_hosts" >"$d/known_hosts"
			sed -i "$1s|known-hosts=[^	]*|known-hosts=$d/known_hosts|" \
			    sites
		fi
	fi
	"$FAULT" rules "$d" "$2"
}

# fault_log I: what passed, a JSON line each.
fault_log() {
	"$FAULT" log "$BATS_TEST_TMPDIR/fault.$1"
}

# site_port I: of the server.  site_url I: as ./sites has it now.
site_port() {
	sed 's|[^	]*	[^	]*127.0.0.1:\([0-9]*\)/.*|\1|' \
	    <<<"${SITE_LIST[$1 - 1]}"
}

site_url() {
	sed -n "$1p" sites | cut -f 2
}

# site_curl I NAME OPTION ...: about the object NAME (or the folder "") of a site, as
# ./sites says, so through its proxy if there is one.  Status and output are curl's.
site_curl() {
	local i=$1 name=$2 url kind=${SITE_KIND[$1]} opt
	shift 2
	url=$(site_url "$i")
	opt=$(sed -n "${i}p" sites | cut -f 3)
	set -- -sS -f -m 60 "$@"
	case $kind in
	s3*)	set -- "$@" --aws-sigv4 aws:amz:us-east-1:s3 \
		    --user "SITE$i:secret-of-site-$i" \
		    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'
		[ $kind = s3 ] || set -- "$@" --cacert "$BATS_FILE_TMPDIR/servers/ca/ca.crt"
		url=${url#s3+} ;;
	davs)	set -- "$@" --cacert "$BATS_FILE_TMPDIR/servers/ca/ca.crt"
		set -- "$@" --netrc-file "$(server_dir dav)/netrc"
		url=https${url#davs} ;;
	dav)	set -- "$@" --netrc-file "$(server_dir dav)/netrc"
		url=http${url#dav} ;;
	sftp)	mkdir -p "$HOME/.ssh"
		sed 's/.*known-hosts=//;s/ .*//' <<<"$opt" |
		    xargs cat >"$HOME/.ssh/known_hosts"
		set -- "$@" --key "$(server_dir sftp)/id"
		url=${url/@/:@} ;;
	esac
	case $name in
	\?*)	url=${url%/*} ;;
	*)	url=$url/ ;;
	esac
	curl "$@" "$url$name"
}

# The objects of site I, past any proxy.  site_names I: all of them.
site_names() {
	if on_disk "$1"; then
		(cd "$(site_folder "$1")" && find . -type f | cut -c 3- | sort)
	else
		direct "$1" "?list-type=2&prefix=$(site_prefix)%2F" |
		    grep -o '<Key>[^<]*' | sed "s|<Key>$(site_prefix)/||" | sort
	fi
}

# direct I NAME OPTION ...: site_curl to the server itself.
direct() {
	(
		cd "$BATS_TEST_TMPDIR" || exit
		printf '%s\n' "${SITE_LIST[@]}" >sites
		site_curl "$@"
	)
}

# site_files I: the same, as paths on disk; not for S3.
site_files() {
	on_disk "$1" && find "$(site_folder "$1")" -type f | sort
}

# site_get I NAME: its bytes.  site_put I NAME FILE, site_rm I NAME.
site_get() {
	if on_disk "$1"; then
		cat "$(site_folder "$1")/$2"
	else
		direct "$1" "$2"
	fi
}

site_put() {
	local f
	if on_disk "$1"; then
		f=$(site_folder "$1")/$2
		mkdir -p "${f%/*}" && cp "$3" "$f"
	else
		direct "$1" "$2" -T "$(realpath "$3")" -o /dev/null
	fi
}

site_rm() {
	if on_disk "$1"; then
		rm "$(site_folder "$1")/$2"
	else
		direct "$1" "$2" -X DELETE
	fi
}

# site_flip I NAME OFFSET: turn every bit of one byte.
site_flip() {
	local f=$BATS_TEST_TMPDIR/flipped
	if on_disk "$1"; then
		flip "$(site_folder "$1")/$2" "$3"
	else
		site_get "$1" "$2" >"$f" && flip "$f" "$3" && site_put "$1" "$2" "$f"
	fi
}

# rot I NAME: an object of S3 as a bad disk has it: a byte of its file is turned
# below the server, which goes on to serve it.
rot() {
	local f sum
	sum=$(site_get "$1" "$2" | sha256sum)
	find "$(server_dir "${SITE_KIND[$1]}")/$1/srv" -name '*.data' |
	    while read -r f; do
		if [ "$(sha256sum <"$f")" = "$sum" ]; then
			flip "$f" 0
		fi
	done
}
