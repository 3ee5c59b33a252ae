load helper

# contrib/plot-loss, with a gnuplot that shows what it is given.

setup_plot() {
	mkdir bin
	cat >bin/gnuplot <<'END'
#!/bin/sh
cat "$1"
for f in loss val; do
	echo "[$f]"
	cat $f
done
END
	chmod +x bin/gnuplot
	PATH=$PWD/bin:$GE_TOP/contrib:$PATH
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
