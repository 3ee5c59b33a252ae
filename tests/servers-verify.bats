load helper
load servers

# nine_of KIND: a set, 6 of 9 in four segments, at nine sites; m is its manifest.
nine_of() {
	nine "$1"
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
	bytes 90000 >in
	gefrag -b 4k -O payload=4k <in | gepush -q -s sites >m
	set=$(awk '/^set/ { print $2 }' m)
	segments=$(awk '/^segments/ { print $2 }' m)
}

# where SEGMENT INDEX: the number of the site that has it; its name below there.
where() {
	awk -v s="$1" -v i="$2" '/^place/ {
		split($3, r, "-")
		for (f = 4; s >= r[1] && s <= r[2] && f <= NF; f++)
			if (split($f, p, "=") && p[1] == i)
				at = substr(p[2], 5)
	} END { print at }' m
}

object() {
	printf '%s/%010d.%02d.gef\n' "$set" "$1" "$2"
}

# lines: the report without what differs from run to run.
lines() {
	sed 1d "$out" | cut -f 1,3-6 | tr '\t' ' '
}

# audit KIND: damage of each kind, on servers of this kind.
audit() {
	local a b
	nine_of "$1"
	expect 0 geverify -s sites m
	[ -z "$(lines)" ]
	told "$((9 * segments)) of $((9 * segments)) fragments whole"
	told '3 more sites may vanish'
	expect 0 geverify -q -s sites -c 0.9 -O loss=0.2 m
	expect 0 geverify -q -s sites -O blind "$set"
	a=$(where 0 3) b=$(where 1 5)
	site_flip "$a" "$(object 0 3)" 2000
	site_rm "$b" "$(object 1 5)"
	expect 3 geverify -q -s sites m
	[ "$(lines)" = "corrupt 0 3 site$a 1 of 1 blocks damaged
missing 1 5 site$b -" ]
	expect 3 geverify -q -s sites -c 0.5 -O loss=0.5 m
	lines | grep -qx "missing 1 5 site$b -"
	site_kill 7
	expect 3 geverify -q -s sites m
	[ "$(lines | grep -c '^unreachable .* site7 ')" -eq "$segments" ]
	[ "$(lines | grep -vc '^unreachable')" -eq 2 ]
	site_begin 7
}

@test "geverify -s: at S3" {
	audit s3
}

@test "geverify -s: at SFTP servers" {
	audit sftp
}

@test "geverify -s: at WebDAV servers" {
	audit davs
}

@test "geverify -s: S3, SFTP, WebDAV and folders beside each other" {
	audit mixed
}

@test "geverify -s: what is listed and not there is missing" {
	nine_of s3
	at=$(where 0 0)
	fault "$at" "[{\"method\": \"GET\", \"path\": \"0000000000.00.gef\",
	    \"status\": 404, \"code\": \"NoSuchKey\"}]"
	expect 3 geverify -q -s sites m
	[ "$(lines)" = "missing 0 0 site$at -" ]
	# Refused, or an error of the server's: it says nothing of the fragment.
	for status in 403 500; do
		fault "$at" "[{\"method\": \"GET\",
		    \"path\": \"0000000000.00.gef\", \"status\": $status}]"
		expect 1 geverify -q -s sites m
		[ "$(lines | cut -d ' ' -f 1-4)" = "unreachable 0 0 site$at" ]
	done
	# Other bytes than those asked for are not taken for damage done there.
	fault "$at" '[{"method": "GET", "path": "gef$", "flip_down": 100}]'
	expect 3 geverify -q -s sites m
	[ "$(lines | grep -c "^corrupt .* site$at ")" -ge 1 ]
}

@test "geverify -s: a site that stalls costs seconds, not its fragments each" {
	nine_of s3
	fault 5 '[{"method": "GET", "path": "gef$", "stall": 60}]'
	expect 1 timeout 100 geverify -s sites -O stall=1 m
	[ "$(lines | cut -d ' ' -f 1,4 | sort -u)" = 'unreachable site5' ]
	[ "$(lines | wc -l)" -eq "$segments" ]
	[ "$(grep -c 'taken for unreachable' "$err")" -eq 1 ]
}

@test "geverify -s: an auditor who is not to read fetches no share" {
	nine_of s3
	fault 5 '[]'
	expect 0 geverify -q -s sites -O blind m
	grep -q '"GET"' <(fault_log 5)
	share=$((64 + 32 + 32 * 9 + 32 * 9))
	# No range that was asked for has a byte of it.
	fault_log 5 | grep 'gef"' | grep -o 'bytes=[0-9]*-[0-9]*' >ranges
	[ -s ranges ]
	awk -F '[=-]' -v s=$share '$2 < s + 32 && $3 >= s { exit 1 }' ranges
	expect 0 geverify -q -s sites m
	fault_log 5 | grep 'gef"' | grep -o 'bytes=[0-9]*-[0-9]*' >ranges
	fails awk -F '[=-]' -v s=$share '$2 < s + 32 && $3 >= s { exit 1 }' ranges
}
