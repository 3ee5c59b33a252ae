load helper

# contrib/ge-nightly over folders: ten sites, manifests in `kept`.

setup_sites() {
	local i
	for i in 0 1 2 3 4 5 6 7 8 9; do
		mkdir host$i
		printf 'host%s file://%s/host%s operator=o%s region=r%s\n' \
		    $i "$PWD" $i $i $i
	done >sites
	mkdir kept
	bytes 30000 >in
	for i; do
		gefrag -N "$i" -b 4k -O payload=4k in | gepush -q -s sites \
		    >"kept/$i.ge"
	done
	export GE_LOG=$PWD/log GE_MAILTO=admin@example GE_MAIL="tee -a mail"
	export XDG_STATE_HOME=$PWD/state
	PATH=$GE_TOP/contrib:$PATH
}

logged() {
	grep -q "^[0-9T:-]*Z ge-nightly: $1" log && return
	cat log
	return 1
}

@test "nightly: what is whole is logged and nobody is woken" {
	setup_sites anna boris
	for GE_WHOLE in 0 1234567; do
		export GE_WHOLE
		expect 0 ge-nightly -s sites kept
		said
		logged 'anna: whole$'
		logged 'boris: whole$'
		logged '2 sets, 0 that were not whole$'
	done
	[ ! -e mail ]
	[ "$(ls kept)" = "$(printf 'anna.ge\nboris.ge')" ]
	# With -v to standard error too.
	expect 0 ge-nightly -v -s sites kept
	told 'ge-nightly: anna: whole'
}

@test "nightly: what is degraded is repaired, from a sample as well" {
	setup_sites anna boris
	for GE_WHOLE in 0 1234567; do
		export GE_WHOLE
		rm -f log mail
		f=$(find host? -name '0000000001.02.gef' | head -n 1)
		rm "$f"
		id=$(basename "${f%/*}")
		expect 0 ge-nightly -s sites kept
		told degraded
		[ -e "$f" ]
		grep -q '^To: admin@example$' mail
		grep -q '^Subject: getools: [a-z]* (status 0)$' mail
		grep -q ': repaired$' mail
		grep -q "missing.$id.1.2.${f%%/*}" mail || { cat mail; false; }
		rm mail
		expect 0 ge-nightly -q -s sites kept
		said
		[ ! -e mail ]
	done
}

@test "nightly: with -x the manifest is new, and the old one is kept" {
	setup_sites anna
	cp kept/anna.ge old
	gone=$(sed -n 's/^place.* 3=\([a-z0-9]*\).*/\1/p' old | head -n 1)
	rm -r "${gone:?}"
	# Not answering is no loss: nothing is moved.
	expect 1 ge-nightly -s sites kept
	told 'not known (status 1)'
	cmp old kept/anna.ge
	expect 0 ge-nightly -x "$gone" -s sites kept
	cmp old kept/anna.ge.prev
	fails cmp -s old kept/anna.ge
	logged 'anna: the new manifest is kept$'
	[ -z "$(find kept -name '.*new*')" ]
	expect 0 geverify -q -s sites kept/anna.ge
	gepull -s sites kept/anna.ge | gejoin -q | cmp - in
	rm mail
	expect 0 ge-nightly -s sites kept
	[ ! -e mail ]
}

@test "nightly: what is lost is told by status, message and mail" {
	setup_sites anna boris
	set -- $(awk '$1 == "place" { print }' kept/anna.ge | tr ' ' '\n' |
	    sed -n 's/.*=//p' | head -n 4)
	id=$(awk '$1 == "set" { print $2 }' kept/anna.ge)
	for h; do
		rm "$h/$id"/0000000000.*
	done
	expect 4 ge-nightly -s sites kept
	told 'anna: LOST'
	logged 'anna: LOST$'
	logged 'boris: whole$'
	grep -q '^Subject: getools: anna (status 4)$' mail
	# One that can be repaired hides nothing.
	rm host*/"$(awk '$1 == "set" { print $2 }' kept/boris.ge)"/0000000000.01.gef
	rm mail
	expect 4 ge-nightly -q -s sites kept
	said
	logged 'boris: repaired$'
	grep -q '^Subject: getools: anna boris (status 4)$' mail
}

@test "nightly: what is refused is told" {
	setup_sites anna
	keys
	expect 5 ge-nightly -V sign.pub -s sites kept
	told 'anna: REFUSED'
	grep -q 'status 5' mail
}

@test "nightly: -t repairs nothing" {
	setup_sites anna
	f=$(find host? -name '0000000001.02.gef')
	rm "$f"
	expect 3 ge-nightly -t -s sites kept
	[ ! -e "$f" ]
	grep -q 'anna (status 3)' mail
}

@test "nightly: what keeps it from its work is told by mail too" {
	setup_sites anna
	expect 2 ge-nightly -q -s nowhere kept
	grep -qx "Subject: getools: 'nowhere': no such sites file (status 2)" mail
	logged "'nowhere': no such sites file"
	mkdir empty
	expect 2 ge-nightly -q -s sites empty
	grep -qx "Subject: getools: 'empty' has no .\.ge (status 2)" mail
	# And that it could not be told, by the status.
	rm "$(find host? -name '0000000001.02.gef')"
	GE_MAIL=/nowhere/sendmail expect 1 ge-nightly -s sites kept
	told 'anna: repaired'
	told 'the message could not be sent'
}

@test "nightly: -O s3-unsigned is for the repair" {
	setup_sites anna
	rm "$(find host? -name '0000000001.02.gef')"
	expect 0 ge-nightly -O s3-unsigned -s sites kept
	logged 'anna: repaired$'
}

@test "nightly: one at a time" {
	setup_sites anna
	exec 7>>kept/.ge-nightly.lock
	flock 7
	expect 1 ge-nightly -s sites kept
	told "another one is at work in 'kept'"
	exec 7>&-
	expect 0 ge-nightly -s sites kept
}

@test "nightly: names with blanks and quotes, options as they are" {
	setup_sites "it's her"
	mv sites "the site's"
	expect 0 ge-nightly -j 2 -O stall=9 -s "the site's" kept
	logged "it's her: whole\$"
	expect 2 ge-nightly -O nonsense -s "the site's" kept
	told "-O 'nonsense': no such option"
}

@test "nightly: wrong command lines" {
	setup_sites
	expect 2 ge-nightly
	grep -q '^usage: ge-nightly' "$err"
	expect 2 ge-nightly -s sites
	expect 2 ge-nightly -Z -s sites kept
	expect 2 ge-nightly -s sites nowhere
	told "'nowhere': no such folder"
	expect 2 ge-nightly -s nowhere kept
	expect 2 ge-nightly -s sites kept
	told 'has no *.ge'
}

@test "nightly: ended by a signal, nothing is left behind" {
	setup_sites anna
	mkdir bin
	cat >bin/geverify <<-'END'
	#!/bin/sh
	: >running
	exec sleep 100
	END
	chmod +x bin/geverify
	PATH=$PWD/bin:$PATH ge-nightly -s sites kept 3>&- &
	pid=$!
	until_true test -e running
	kill $pid
	wait $pid || status=$?
	[ $status -eq 143 ]
	[ -z "$(ls "$TMPDIR")" ]
	expect 0 ge-nightly -s sites kept
}

@test "nightly: the unit files are well formed" {
	for f in "$GE_TOP"/contrib/systemd/*; do
		grep -q '^\[Unit\]$' "$f"
	done
	if command -v systemd-analyze >/dev/null; then
		cp "$GE_TOP"/contrib/systemd/* .
		sed -i "s|^ExecStart=[^ ]*|ExecStart=$(command -v sh)|" *.service
		expect 0 systemd-analyze verify --man=no ./*.service ./*.timer
		[ ! -s "$err" ] || fails grep 'ge-nightly' "$err"
	fi
	sh -c "$(sed -n 's/^\([^#].* \* \* \* getools \)//p' \
	    "$GE_TOP/contrib/cron.d/getools" | sed 's/^/: /')"
}
