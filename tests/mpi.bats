# Training on several ranks (lib/model/ranks.h), started by mpirun.

load helper

# ranks N COMMAND ...: it N times, by the MPI that it was built with.
ranks() {
	local n=$1 mpirun=mpirun
	shift
	case $GE_MPI in
	ompi*)	command -v mpirun.openmpi >/dev/null && mpirun=mpirun.openmpi
		set -- --quiet --oversubscribe --bind-to none -n "$n" "$@"
		export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ;;
	*)	command -v mpirun.mpich >/dev/null && mpirun=mpirun.mpich
		set -- -n "$n" "$@" ;;
	esac
	"$mpirun" "$@" </dev/null
}

# same "NUMBERS" ARGUMENT ...: training ends as it does alone on so many ranks.
same() {
	local n numbers=$1
	shift
	"$tool" train "$@" >alone
	fails grep nan alone
	for n in $numbers; do
		ranks "$n" "$tool" train "$@" | diff alone -
	done
}

tool=$GE_BUILD/tool/ranks
# What MPI does not free is no leak of ours, and its locks are its own affair.
export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
export TSAN_OPTIONS=$TSAN_OPTIONS:detect_deadlocks=0

mpi() {
	[ "${GE_MPI:-0}" != 0 ] || skip 'built without MPI'
}

@test "what ranks send is what others get, and sums have the order of a tree" {
	mpi
	for n in 2 4 8; do
		expect 0 ranks $n "$tool" wires
		[ "$(cat "$out")" = "rank $((n / 2)) says so" ]
	done
}

@test "the same weights, bit for bit, on 1, 2, 4 and 8 ranks" {
	mpi
	same '1 2 4 8'
	cp alone one
	same 2 jobs=2
	diff one alone
	same 4 stop=5
	diff one alone
}

@test "the same matrices of LoRA on any number of ranks" {
	mpi
	same '2 4' lora=64 lr=0.02
	cp alone one
	same 2 lora=64 lr=0.02 stop=5
	diff one alone
}

@test "ranks that exchange from time to time end alike each time, stopped or not" {
	mpi
	for n in 2 4; do
		ranks $n "$tool" train outer=5 >one.$n
		ranks $n "$tool" train outer=5 stop=7 jobs=2 | diff one.$n -
	done
	ranks 2 "$tool" train outer=5 together=3 >three
	fails diff one.2 three
	ranks 2 "$tool" train outer=5 together=3 stop=2 | diff three -
	ranks 2 "$tool" train outer=5 together=3 stop=3 | diff three -
	ranks 2 "$tool" train outer=5 together=3 stop=4 | diff three -
	same 2 outer=5 together=12
	ranks 2 "$tool" train outer=5 lora=64 >lora
	ranks 2 "$tool" train outer=5 lora=64 stop=10 | diff lora -
	"$tool" train outer=5 >one.1
	"$tool" train outer=5 stop=7 | diff one.1 -
	"$tool" train | fails diff one.1 -
	fails diff one.1 one.2
}

@test "ranks that learn the same from the same end where one alone does" {
	mpi
	same '2 4' outer=4 alike=1
}

@test "a number of ranks that does not come out even is refused, in one line" {
	mpi
	expect 2 ranks 3 "$tool" train
	grep '^ranks:' "$err" >lines
	echo 'ranks: 3 ranks are no power of 2' | diff - lines
	expect 2 ranks 4 "$tool" train shards=2
	grep '^ranks:' "$err" >lines
	echo 'ranks: 4 ranks are too many for 2 shards' | diff - lines
}

@test "a loss that is no number ends all ranks, with one line" {
	mpi
	expect 1 ranks 4 "$tool" train bad=4
	grep '^ranks:' "$err" >lines
	echo 'ranks: step 5: the loss is not a number' | diff - lines
	expect 1 ranks 4 "$tool" train bad=4 outer=6
	grep '^ranks:' "$err" >lines
	echo 'ranks: step 5: the loss is not a number' | diff - lines
}

@test "a rank that dies takes the others with it" {
	mpi
	fails ranks 4 "$tool" train die=3 >/dev/null 2>"$err"
	fails grep '^ranks:' "$err"
}

@test "alone, MPI is not even begun" {
	"$tool" train >one
	OMPI_MCA_pml=none OMPI_MCA_btl=none "$tool" train | diff one -
	OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 OMPI_MCA_pml=none \
	    "$tool" train | diff one -
}

@test "one of several ranks that cannot find the others does not train alone" {
	why='started as one of several ranks, but built without MPI'
	case ${GE_MPI:-0} in
	0)	: ;;
	mpich*)	set -- OMPI_COMM_WORLD ;;
	*)	set -- PMI ;;
	esac
	if [ $# -gt 0 ]; then
		why='started as one of 2 ranks, of which MPI finds 1: by another MPI than it was built with'
	fi
	export "${1-PMI}_SIZE=2"
	expect 2 env "${1-PMI}_RANK=0" "$tool" train
	said "ranks: $why"
	expect 2 env "${1-PMI}_RANK=1" "$tool" train
	said
}
