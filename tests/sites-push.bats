load helper
load servers

# gepush to real servers, and through a proxy that does harm.

# ready KIND: nine sites, a set of four segments, 3 of 6, in set.ge.
ready() {
	nine "$1"
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 40000 >in
	gefrag -k 3 -n 6 -b 4k -O payload=4k -q in >set.ge
	set=$(tar tf set.ge | sed -n '$s|/.*||p')
}

# all_there MANIFEST: the sites hold, to the byte, what the manifest says, and
# have it themselves.
all_there() {
	local i f
	mkdir -p cut
	tar xf set.ge -C cut
	for i in 1 2 3 4 5 6 7 8 9; do
		site_get $i "$set/manifest" | cmp - "$1"
	done
	now_at "$1" | sed 's/site//' | while read -r s i f; do
		printf '%s %s/%010d.%02d.gef\n' "$f" "$set" "$s" "$i"
	done >told
	[ "$(wc -l <told)" -eq 24 ]
	while read -r i f; do
		site_get "$i" "$f" | cmp - "cut/$f"
	done <told
	gepull -q -s sites "$1" | gejoin -q | cmp - in
}

# lives KIND: pushed, and pushed again.
lives() {
	ready "$1"
	expect 0 gepush -O verify=full -s sites set.ge
	said
	cp "$out" m
	all_there m
	expect 0 gepush -v -s sites set.ge
	told '24 of 24 fragments placed, 24 of them were there before; 0 B sent'
	cmp m "$out"
	# An object of another content.
	read -r i f <told
	echo other >other
	site_rm "$i" "$f"
	site_put "$i" "$f" other
	expect 5 gepush -s sites set.ge
	told "'$f' is already there with other content"
	site_get "$i" "$f" | cmp - other
}

# through JSON STATUS [OPTION ...]: a push with a proxy before site 1.
through() {
	local json=$1 status=$2
	shift 2
	fault 1 "$json"
	expect "$status" gepush -O stall=2 -O connect=2 "$@" -s sites set.ge
	cp "$out" m
	cp "$err" harm
	fault 1 '[]'
	[ "$status" -ne 0 ] || all_there_but m
}

# all_there_but MANIFEST: likewise, but site 1 may lack the manifest.
all_there_but() {
	expect 0 gepush -s sites set.ge
	cmp "$1" "$out"
	all_there "$1"
}

@test "gepush: S3" {
	lives s3
}

@test "gepush: S3 under TLS" {
	lives s3s
}

@test "gepush: SFTP" {
	lives sftp
}

@test "gepush: WebDAV" {
	lives davs
}

@test "gepush: S3, SFTP, WebDAV and folders at once; one dead, one mute" {
	ready mixed
	site_kill 2
	site_freeze 6
	expect 0 gepush -O stall=2 -O connect=2 -s sites set.ge
	told "site 'site2' is passed over"
	told "site 'site6' is passed over"
	cp "$out" m
	fails grep -q 'site[26]' m
	site_begin 2
	site_thaw 6
	expect 0 gepush -s sites set.ge
	cmp m "$out"
	all_there m
}

@test "gepush: S3: replies that are lost" {
	ready s3
	through '[{"method": "PUT", "lost_reply": true, "times": 2}]' 0
}

@test "gepush: WebDAV: lost replies, 503, cuts" {
	ready davs
	through '[{"method": "PUT", "lost_reply": true, "times": 1},
	    {"method": "PUT", "status": 503, "times": 1},
	    {"method": "PUT", "cut_up": 2000, "times": 1},
	    {"method": "GET", "cut_down": 100, "times": 2}]' 0
}

@test "gepush: S3: 503, cuts and stalls" {
	ready s3
	through '[{"method": "PUT", "status": 503, "times": 2, "code": "SlowDown"},
	    {"method": "PUT", "cut_up": 2000, "times": 1},
	    {"method": "GET", "cut_down": 100, "times": 2}]' 0
}

@test "gepush: a site that always fails is given up, all goes elsewhere" {
	ready s3
	through '[{"method": "PUT", "status": 503}]' 0 -O tries=2
	grep -q "site 'site1' is given up: " harm
	fails grep -q 'site1' <(now_at m)
	# What it may have got is history.
	grep -q '^place .*=site1' m
}

@test "gepush: what a site does not list is not overwritten" {
	ready s3
	expect 0 gepush -s sites set.ge
	now_at "$out" | grep ' site1$' | head -n 1 >told
	read -r s i _ <told
	f=$(printf '%s/%010d.%02d.gef' "$set" "$s" "$i")
	rm -r "$XDG_STATE_HOME"
	for j in 1 2 3 4 5 6 7 8 9; do
		site_rm $j "$set/manifest"
	done
	echo other >other
	site_rm 1 "$f"
	site_put 1 "$f" other
	# It can refuse nothing by itself, and is silent about what it has.
	fault 1 '[{"method": "GET", "path": "list-type", "status": 200,
	    "body": "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"},
	    {"method": "PUT", "path": "gef", "times": 1, "status": 501,
	    "code": "NotImplemented"}]'
	expect 5 gepush -s sites set.ge
	told "'$f' is already there with other content"
	fault 1 '[]'
	site_get 1 "$f" | cmp - other
}

@test "gepush: a 200 with an error in its body is none" {
	ready s3
	through '[{"method": "PUT", "path": "gef", "status": 200,
	    "body": "<Error><Code>InternalError</Code></Error>"}]' 0 -O tries=2
	fails grep -q 'site1' <(now_at m)
}

@test "gepush: a 200 for what was not stored is not believed" {
	ready s3
	through '[{"method": "PUT", "path": "gef", "status": 200}]' 0 -O tries=2
	grep -q "site 'site1' took '.*' and does not have it" harm
	fails grep -q 'site1' <(now_at m)
}

@test "gepush: what a site stores wrong is found by reading it back" {
	ready davs
	through '[{"method": "PUT", "path": "gef", "flip_up": 700}]' 0 \
	    -O verify=full
	grep -q 'the copy there is damaged' harm
	fails grep -q 'site1' <(now_at m)
}

@test "gepush: no room at a site" {
	ready davs
	through '[{"method": "PUT", "path": "gef", "status": 507}]' 0
	fails grep -q 'site1' <(now_at m)
}

# has_some I: something is at site I.
has_some() {
	[ -n "$(site_names "$1")" ]
}

@test "gepush: SIGTERM ends it though a site is mute" {
	ready s3
	fault 1 '[{"method": "PUT", "stall": 1000}]'
	gepush -s sites set.ge >"$out" 2>"$err" 3>&- &
	pid=$!
	until_true has_some 2
	kill -TERM $pid
	until_true ended $pid || kill -KILL $pid
	status=0
	wait $pid || status=$?
	[ $status -eq 143 ]
	[ ! -s "$out" ]
	fault 1 '[]'
	expect 0 gepush -s sites set.ge
	cp "$out" m
	all_there m
}

@test "gepush: slow sites fill no memory" {
	[ -z "$GE_SAN" ] || skip 'not under a sanitizer'
	ready davs
	$GE_CC -O1 -o maxrss "$GE_TOP/tests/bench/maxrss.c"
	fault 1 '[{"method": "PUT", "rate": 8000000}]'
	fault 2 '[{"method": "PUT", "rate": 8000000}]'
	bytes 300000000 >in
	gefrag -q -k 3 -n 9 -b 256k -O payload=8m in >set.ge
	expect 0 ./maxrss rss gepush -j 64 -s sites set.ge
	cp "$out" m
	cat rss
	awk '$3 > 256 * 1024 { bad = 1 } END { exit bad }' rss
	gepull -q -s sites m | gejoin -q | cmp - in
}
