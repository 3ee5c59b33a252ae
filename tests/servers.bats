load helper
load servers

# gives_back I: site I takes an object with curl and gives it back.
gives_back() {
	bytes 300000 "$1" >in
	site_curl "$1" o -T in -o /dev/null
	site_curl "$1" o | cmp - in
	site_curl "$1" o -r 1000-1999 | cmp - <(tail -c +1001 in | head -c 1000)
}

# lives KIND: what every server is to do.
lives() {
	nine "$1"
	gives_back 1
	gives_back 9
	[ "$(site_names 9)" = o ]
	site_get 9 o | cmp - in
	site_flip 9 o 7
	fails cmp -s <(site_get 9 o) in
	site_kill 2
	fails site_curl 2 o
	site_begin 2
	gives_back 2
	site_freeze 3
	fails site_curl 3 o -m 1
	site_thaw 3
	gives_back 3
	site_put 3 p in
	site_rm 3 o
	[ "$(site_names 3)" = p ]
	fails site_curl 3 o
}

# naming WORD: the processes whose command line has it.
naming() {
	local f c
	for f in /proc/[0-9]*/cmdline; do
		mapfile -d '' c <"$f" || continue
		[[ ${c[*]} != *"$1"* ]] || echo "$f"
	done 2>/dev/null
}

# leaves_nothing KIND: no process names its folder after stop.
leaves_nothing() {
	local d=$BATS_TEST_TMPDIR/own s
	s=$(server "$1")
	[ -z "$("$SERVERS/$s" have)" ] || skip "$s is not installed"
	"$SERVERS/$s" start "$d" 2
	[ "$("$SERVERS/$s" list "$d" | wc -l)" -eq 2 ]
	[ "$(naming "$d" | wc -l)" -ge 2 ]
	"$SERVERS/$s" freeze "$d" 1
	"$SERVERS/$s" stop "$d"
	naming "$d" | diff /dev/null -
	# No other process is touched: not one that took the number of ours.
	sleep 1000 3>&- &
	echo $! >"$d/1/pid"
	"$SERVERS/$s" kill "$d" 1
	kill $!
}

@test "servers: folders are sites" {
	nine file
	[ "$(grep -c . sites)" -eq 9 ]
	bytes 1000 >in
	site_put 4 a/b in
	[ "$(site_names 4)" = a/b ]
	site_kill 4
	fails site_get 4 a/b 2>/dev/null
	site_begin 4
	site_get 4 a/b | cmp - in
}

@test "servers: Swift lives, dies and begins again" {
	lives s3
}

@test "servers: Swift under TLS lives, dies and begins again" {
	lives s3s
}

@test "servers: sshd lives, dies and begins again" {
	lives sftp
}

@test "servers: nginx under TLS lives, dies and begins again" {
	lives davs
}

@test "servers: nginx without TLS takes and gives" {
	nine dav
	gives_back 5
}

@test "servers: a mix of all is nine sites" {
	nine mixed
	[ "$(cut -f 2 sites | cut -d : -f 1 | uniq -c | tr -s ' \n' ' ')" = \
	    ' 3 s3+http 2 sftp 2 davs 2 file ' ]
	for i in 1 4 6; do
		gives_back $i
	done
}

@test "servers: Swift stops and leaves nothing" {
	leaves_nothing s3
}

@test "servers: sshd stops and leaves nothing" {
	leaves_nothing sftp
}

@test "servers: nginx stops and leaves nothing" {
	leaves_nothing davs
}

@test "servers: certificates are wrong in the ways they should be" {
	nine davs
	ca=$BATS_FILE_TMPDIR/servers/ca
	openssl verify -CAfile "$ca/ca.crt" "$ca/server.crt" "$ca/wronghost.crt"
	fails openssl verify -CAfile "$ca/ca.crt" "$ca/expired.crt" 2>"$err"
	told 'certificate has expired'
	fails openssl verify -CAfile "$ca/ca.crt" "$ca/selfsigned.crt" 2>"$err"
	told 'self-signed'
	for c in expired wronghost selfsigned; do
		mkdir "$c"
		cp "$ca/$c.crt" "$c/server.crt"
		cp "$ca/$c.key" "$c/server.key"
		cp "$ca/ca.crt" "$c"
		GE_TLS=$c "$SERVERS/dav" start "$PWD/$c/dav" 1
		p=$(cat "$c/dav/1/port")
		got=0
		curl -sS --cacert "$ca/ca.crt" "https://127.0.0.1:$p/" 2>"$err" ||
			got=$?
		"$SERVERS/dav" stop "$PWD/$c/dav"
		[ $got -eq 60 ]
	done
}

# status [OPTION ...]: the HTTP status of a GET of o from site 1, 000 if none came
# whole.
status() {
	site_curl 1 o -o got -m 5 -w '%{http_code}' "$@" 2>"$err" || true
}

@test "faults: answers that the server did not give" {
	nine s3
	gives_back 1
	fault 1 '[{"status": 500}]'
	[ "$(status)" = 500 ]
	fault 1 '[{"status": 503, "code": "SlowDown", "retry_after": 7, "nth": 2}]'
	[ "$(status)" = 200 ]
	[ "$(status -D head)" = 503 ]
	grep -qi '^retry-after: 7' head
	[ "$(status)" = 200 ]
	fault 1 '[{"method": "PUT", "status": 507}]'
	[ "$(status -T in)" = 507 ]
	[ "$(status)" = 200 ]
	fault 1 '[{"status": 200, "code": "InternalError"}]'
	[ "$(status)" = 200 ]
	grep -q '<Code>InternalError' got
	fault 1 '[{"redirect": "http://elsewhere.example/o"}]'
	[ "$(status -D head)" = 307 ]
	grep -q '^Location: http://elsewhere.example/o' head
	fault 1 '[{"skew": -7200}]'
	[ "$(site_curl 1 o --no-fail -D head | grep -o RequestTimeTooSkewed)" ]
	grep -qi '^date: ' head
	fault 1 '[{"path": "/o$", "times": 2, "reset": true}]'
	[ "$(status)" = 000 ]
	[ "$(status)" = 000 ]
	[ "$(status)" = 200 ]
	fault 1 '[{"empty": true}]'
	[ "$(status)" = 000 ]
	told 'Empty reply'
	fault 1 '[{"garbage": true}]'
	[ "$(status)" = 000 ]
	fault 1 '[{"p": 0.5, "seed": 3, "status": 500}]'
	for i in 1 2 3 4 5 6 7 8; do
		status
	done >once
	fault 1 '[{"p": 0.5, "seed": 3, "status": 500, "min": 0}]'
	for i in 1 2 3 4 5 6 7 8; do
		status
	done | cmp - once
	grep -q 200 once
	grep -q 500 once
	fault_log 1 | grep -q '"harm": \["status"\]'
}

@test "faults: what is sent is harmed" {
	nine s3
	gives_back 1
	bytes 300000 2 >new
	fault 1 '[{"method": "PUT", "cut_up": 1000}]'
	fails site_curl 1 o -T new 2>"$err"
	site_get 1 o | cmp - in
	fault 1 '[{"method": "PUT", "flip_up": 5}]'
	[ "$(status -T new)" = 200 ]
	[ "$(cmp -l <(site_get 1 o) new | wc -l)" -eq 1 ]
	fault 1 '[{"method": "PUT", "lost_reply": true}]'
	fails site_curl 1 o -T in 2>"$err"
	site_get 1 o | cmp - in
	fault 1 '[]'
	[ "$(status -T new)" = 200 ]
	[ "$(status -T in -H 'Expect:100-continue')" = 200 ] || true
	fault 1 '[{"method": "GET", "older": 1}]'
	[ "$(status)" = 200 ]
	cmp got new
	site_get 1 o | cmp - in
}

@test "faults: what comes back is harmed" {
	nine s3
	gives_back 1
	fault 1 '[{"cut_down": 70000}]'
	[ "$(status)" != 000 ]
	[ "$(wc -c <got)" -eq 70000 ]
	fault 1 '[{"truncate": 70000}]'
	[ "$(status)" = 200 ]
	[ "$(wc -c <got)" -eq 70000 ]
	fault 1 '[{"flip_down": 70000}]'
	[ "$(status)" = 200 ]
	[ "$(cmp -l got in | cut -d ' ' -f 1 | tr -d ' ')" = 70001 ] ||
		[ "$(cmp -l got in | wc -l)" -eq 1 ]
	fault 1 '[{"ignore_range": true}]'
	[ "$(status -r 10-19)" = 200 ]
	cmp got in
	fault 1 '[{"shift_range": 10}]'
	[ "$(status -r 10-19 -D head)" = 206 ]
	grep -qi '^content-range: bytes 10-19/300000' head
	cmp got <(tail -c +21 in | head -c 10)
	fault 1 '[{"content_range": "bytes 0-9/300000"}]'
	[ "$(status -r 10-19 -D head)" = 206 ]
	grep -qi '^content-range: bytes 0-9/300000' head
	fault 1 '[{"etag": "\"00\""}]'
	[ "$(status -D head)" = 200 ]
	grep -qi '^etag: "00"' head
	fault 1 '[{"gzip": true}]'
	[ "$(status -D head)" = 200 ]
	grep -qi '^content-encoding: gzip' head
	gzip -dc <got | cmp - in
	fault 1 '[{"blank": true}]'
	[ "$(status)" = 200 ]
	[ ! -s got ]
	fault 1 '[{"endless": true}]'
	site_curl 1 o | head -c 2000000 | tail -c +300001 | cmp - \
	    <(head -c 1700000 /dev/zero)
	fault 1 '[{"rate": 1}]'
	[ "$(status -m 2 -r 0-9)" = 206 ]
	[ "$(wc -c <got)" -lt 10 ]
	fault 1 '[{"stall": 1000}]'
	[ "$(status -m 1)" = 000 ]
	fault 1 '[{"stall_down": [1000, 1000]}]'
	[ "$(status -m 1)" = 200 ]
	[ "$(wc -c <got)" -eq 1000 ]
}

@test "faults: a listing has names that nobody put there" {
	nine mixed
	gives_back 1
	fault 1 '[{"hostile": true}]'
	site_curl 1 '?list-type=2' >list
	for n in t$BATS_TEST_NUMBER/o '../../etc/cron.d/x' /etc/passwd 'tab&#9;here'
	do
		grep -qF "<Key>$n</Key>" list
	done
	gives_back 6
	fault 6 '[{"method": "PROPFIND", "hostile": ["../../etc/cron.d/x"]}]'
	site_curl 6 '' -X PROPFIND -H 'Depth: 1' >list
	grep -qF 'href>/ge/t' list
	grep -qF '<href>../../etc/cron.d/x</href>' list
	gives_back 6
}

@test "faults: SFTP is cut, stopped and changed on its way" {
	nine sftp
	gives_back 1
	fault 1 '[{"reset": true}]'
	fails site_curl 1 o -o got
	fault 1 '[{"cut_down": 20000}]'
	fails site_curl 1 o -o got
	fault 1 '[{"flip_down": 20000}]'
	fails site_curl 1 o -o got
	fault 1 '[{"stall_down": [20000, 1000]}]'
	fails site_curl 1 o -o got -m 2
	fault 1 '[]'
	gives_back 1
}

# namespaces: there are network namespaces, or the test is skipped.
namespaces() {
	local missing
	missing=$("$SERVERS/netns" have)
	[ -z "$missing" ] || skip "needs" $missing
	net=$BATS_TEST_TMPDIR/net
}

@test "netns: hosts have addresses, and are cut and healed" {
	namespaces
	[ -z "$("$SERVERS/swift" have)" ] || skip 'swift is not installed'
	"$SERVERS/netns" start "$net" 9
	GE_NETNS=$net "$SERVERS/swift" start "$PWD/s" 2
	url=$("$SERVERS/swift" list "$PWD/s" | sed -n 2p | cut -f 2)
	url=${url#s3+}
	[[ $url = http://10.77.0.2:*/site2 ]]
	get() {
		"$SERVERS/netns" client "$net" curl -sS -m 2 -o got "$url" 2>"$err"
	}
	get
	"$SERVERS/netns" cut "$net" 2
	expect 28 get
	"$SERVERS/netns" cut "$net" 2 reset
	expect 7 get
	"$SERVERS/netns" heal "$net" 2
	get
	"$SERVERS/netns" rate "$net" 2 10
	"$SERVERS/netns" at "$net" 2 tc qdisc show dev eth0 | grep -q 'rate 10Mbit'
	"$SERVERS/netns" loss "$net" 2 1
	get || get
	"$SERVERS/netns" heal "$net" 2
	"$SERVERS/swift" stop "$PWD/s"
	"$SERVERS/netns" stop "$net"
	naming "$net" | diff /dev/null -
}

@test "netns: a host is put at a distance" {
	namespaces
	[ -e /dev/net/tun ] || skip 'needs /dev/net/tun'
	"$SERVERS/netns" start "$net" 2 far
	# At least the delay, however busy this machine is: ms of a refusal.
	trip() {
		"$SERVERS/netns" client "$net" /usr/bin/python3 -c '
import socket, time
t = time.monotonic()
try:
    socket.create_connection(("10.77.0.1", 9))
except ConnectionRefusedError:
    print(int(1000 * (time.monotonic() - t)))'
	}
	"$SERVERS/netns" far "$net" 1 150
	[ "$(trip)" -ge 300 ]
	"$SERVERS/netns" stop "$net"
	naming "$net" | diff /dev/null -
}
