load helper

# contrib/plot-loss and plot-monitor, with a gnuplot that shows what it is given.

# gnuplot_shows FILE ...: its script, and of the data these.
gnuplot_shows() {
	mkdir bin
	cat >bin/gnuplot <<-END
	#!/bin/sh
	cat "\$1"
	for f in $*; do
		echo "[\$f]"
		cat \$f
	done
	END
	chmod +x bin/gnuplot
	PATH=$PWD/bin:$GE_TOP/contrib:$PATH
}

setup_plot() {
	gnuplot_shows loss val
	printf '%s\t' '#step' loss val lr tok/s J >log
	printf 'eta\n' >>log
	local step
	for step in 1:9:- 2:8:8.5 3:7:- 2:6:6.5 3:5:-; do
		printf '%s\t0.1\t7\t9\t0\n' "${step//:/$'\t'}" >>log
	done
}

@test "plot-loss: steps in order, each as it came out last" {
	setup_plot
	plot-loss log >out
	grep -qx 'set terminal png size 960,600' out
	sed -n '/^\[loss\]/,$p' out >data
	printf '%s\n' '[loss]' '1 9 ?' '2 6 6.5' '3 5 ?' '[val]' '2 6 6.5' |
	    diff - data
	plot-loss -o file <log
	cmp out file
	plot-loss -t log | grep -q '^set terminal dumb [0-9]'
}

@test "plot-loss: nothing held out, no steps, no log, no gnuplot" {
	setup_plot
	grep -v '\.5' log | plot-loss >out
	run ! grep -q "held out" out
	run -1 plot-loss /dev/null
	[ "$output" = "plot-loss: '/dev/null': no steps" ]
	run -1 plot-loss none
	run -2 plot-loss -t -o file log
	run -2 plot-loss log log
	ln -s "$(command -v sh)" "$(command -v dirname)" .
	PATH=$PWD run -1 ./sh "$GE_TOP/contrib/plot-loss" log
	[ "$output" = 'plot-loss: no gnuplot: install gnuplot-nox' ]
}

# A report of 40 rows: alarms from row 11 to 30 but 20, and in row 38.
setup_report() {
	gnuplot_shows score alarm first
	awk -v OFS='\t' -v time="$1" 'BEGIN {
		print "#row", "time", "alarm", "score", "limit", "causes"
		for (i = 1; i <= 40; i++) {
			t = time == "number" ? i * 10 : ""
			if (time == "date")
				t = "2024-03-01T10:" (i + 10) ":05"
			on = (i > 10 && i <= 30 && i != 20) || i == 38
			cause = i < 15 ? "flow:0.6,temp:0.4" : "temp%20a:0.6,flow:0.4"
			if (i == 38)
				cause = "level:0.9"
			print i, t, on, on ? 2 + i / 100 : 0.5, 1.1, on ? cause : ""
		}
	}' >report
}

@test "plot-monitor: score, limit, alarms, and who was first" {
	setup_report date
	plot-monitor report >out
	grep -qx 'set terminal png size 960,600 noenhanced' out
	grep -qx "set timefmt \"%Y-%m-%dT%H:%M:%S\"" out
	sed -n '/^\[score\]/,/^\[alarm/p' out | grep -c "$(printf \
	    '^2024-03-01T10:[1-5][0-9]:05\t[0-9.]*\t1.1\t[01]$')" | grep -qx 40
	sed -n '/^\[alarm\]/,/^\[first/p' out | grep -c ^2024 | grep -qx 20
	sed -n '/^\[first\]/,$p' out >data
	printf '%s\t%s\t%s\n' '2024-03-01T10:21:05' 2.3 'temp a' \
	    '2024-03-01T10:48:05' 2.38 level | diff - <(sed 1d data)
	plot-monitor -o file <report
	cmp out file
	plot-monitor -t report | grep -q '^set terminal dumb [0-9]'
}

@test "plot-monitor: other times, none, and very many rows" {
	setup_report number
	plot-monitor report >out
	run ! grep -q timefmt out
	grep -q "$(printf '^110\t2.3\ttemp a$')" out
	rm -r bin
	setup_report none
	plot-monitor report >out
	grep -qx "set xlabel 'row'" out
	grep -q "$(printf '^11\t2.3\ttemp a$')" out
	# What is written without seconds or as a date alone is filled up.
	awk -F '\t' -v OFS='\t' 'NR % 2 { $2 = "2024-03-02 10:00" }
	    NR % 2 == 0 { $2 = "2024-03-01" }
	    NR > 1' report >other
	plot-monitor other >out
	grep -q '^2024-03-02T10:00:00' out
	grep -q '^2024-03-01T00:00:00' out
	# Peaks are not lost.
	awk -v OFS='\t' 'BEGIN {
		for (i = 1; i <= 90001; i++)
			print i, "", i == 70000, i == 70000 ? 7 : 0.5, 1,
			    i == 70000 ? "x:1" : ""
	}' >many
	plot-monitor many >out
	n=$(sed -n '/^\[score\]/,/^\[alarm/p' out | wc -l)
	[ "$n" -gt 1000 ]
	[ "$n" -lt 2010 ]
	sed -n '/^\[alarm\]/,/^\[first/p' out | grep -qx "$(printf '70000\t7')"
}

@test "plot-monitor: one of several groups, and rows without a score" {
	setup_report date
	plot-monitor report >want
	# Another machine in turns, higher and always in alarm; an empty name.
	awk -F '\t' -v OFS='\t' '/^#/ { print $0, "group"; next }
	    { $1 = ++n; print $0, "saw" }
	    { $1 = ++n; $3 = 1; $4 += 7; print $0, "lathe%202" }
	    NR == 9 { print ++n, $2, 0, "", 1.1, "", "saw"
		print ++n, "", 0, 0.4, 1.1, "", "" }' report >turns
	run -1 plot-monitor turns
	[ "$output" = "plot-monitor: 'turns': 3 groups: -g says which" ]
	plot-monitor -g saw turns >out
	cmp want out
	plot-monitor -t -g lathe%202 <turns | sed -n '/^\[score\]/,/^\[alarm/p' |
	    grep -c "$(printf '\t[7-9][0-9.]*\t1.1\t1$')" | grep -qx 40
	plot-monitor -g '' turns | grep -qx "$(printf '18\t0.4\t1.1\t0')"
	run -1 plot-monitor -g drill turns
	[ "$output" = "plot-monitor: 'turns': no rows of a monitor and of group 'drill'" ]
	# A report of one group needs no -g.
	grep -v 'lathe\|	$' turns | plot-monitor >out
	cmp want out
	# Rows of a group that lie far apart in the report are one alarm.
	awk -F '\t' -v OFS='\t' '/^#/ { print; next }
	    { for (k = 1; k <= 9; k++) { $1 = ++n; $7 = "m" k; print } }' \
	    report >many
	plot-monitor -g m3 many | sed -n '/^\[first\]/,$p' >out
	[ "$(wc -l <out)" -eq 3 ]
}

@test "plot-monitor: without alarm, no rows, no report, no gnuplot" {
	setup_report none
	awk -F '\t' '$3 == 0' report | plot-monitor >out
	run ! grep -q "'alarm' using" out
	run ! grep -q "'first' using" out
	run -1 plot-monitor /dev/null
	[ "$output" = "plot-monitor: '/dev/null': no rows of a monitor" ]
	run -1 plot-monitor none
	run -2 plot-monitor -t -o file report
	run -2 plot-monitor report report
	ln -s "$(command -v sh)" "$(command -v dirname)" .
	PATH=$PWD run -1 ./sh "$GE_TOP/contrib/plot-monitor" report
	[ "$output" = 'plot-monitor: no gnuplot: install gnuplot-nox' ]
}
