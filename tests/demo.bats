load helper

@test "demo: without servers it goes over directories, and leaves nothing" {
	mkdir -p top/contrib top/tests/servers tree/sub
	cp "$GE_TOP/contrib/demo" top/contrib
	for s in swift sshd dav; do
		printf '#!/bin/sh\necho nothing\n' >top/tests/servers/$s
		chmod +x top/tests/servers/$s
	done
	words 100000 >tree/text
	bytes 100000 >tree/sub/noise
	expect 0 top/contrib/demo tree
	said
	grep -q '^Nine sites keep tree\.  Nine directories' "$out"
	grep -q '^geverify: all 9 are whole, at six sites (status 0;' "$out"
	[ -z "$(ls -A "$TMPDIR")" ]
	expect 2 top/contrib/demo tree tree
	expect 1 top/contrib/demo nowhere
}
