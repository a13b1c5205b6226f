#!/bin/bash
# make bench: one table, ours beside the peers in the same run.
#
#   AGENT          libplugprof.so (default .libs/libplugprof.so)
#   CC             the compiler (default cc)
#   srcdir, builddir
#   BENCH_ROUNDS   1: a few minutes (the default); N: N times as many repetitions
#   BENCH_ROWS     words of: unwind thread overhead heap dl start process memory hosts symbols (default: all)
#   BENCH_LIBRARY  for "symbols": a library with debug information, instead of one that is made
#
# It builds its programs in $builddir/bench-out and never fails for a slow result: what is
# measured on a busy machine is to be read, not asserted.
set -eu

: "${srcdir:=.}" "${builddir:=.}" "${CC:=cc}"
out=$(mkdir -p "$builddir/bench-out" && cd "$builddir/bench-out" && pwd)
bench=$srcdir/tests/bench

# build NAME "FLAGS" LIBRARY...: of those that make has built
build() {
	name=$1 flags=$2
	shift 2
	set -- "${@/#/$builddir/.libs/}"
	# shellcheck disable=SC2086 # words
	$CC -std=gnu11 -g -O2 -Wall -I"$srcdir/src" -I"$bench" $flags -o "$out/$name" \
		"$bench/${name%.so}.c" "$@" -pthread -lm
}

build deep_stack.so "-fomit-frame-pointer -fPIC -shared"
build overhead -fomit-frame-pointer
build short_threads -fomit-frame-pointer
build alloc_pairs "-fomit-frame-pointer -fno-builtin"
build forward.so "-fPIC -shared -fvisibility=hidden -fno-builtin"
build footprint -fomit-frame-pointer
build paired ""
build process_costs ""
build dl_cycles ""
build spool_cost "" libspoolreader.a libbase.a
build unwinders "" libagentcore.a

unset LD_PRELOAD PLUGPROF CPUPROFILE
case " ${BENCH_ROWS:=unwind thread overhead heap dl start process memory hosts symbols} " in
*" symbols "*) TOOL=$(realpath "$builddir/plugprof") python3 -B "$bench/symbols.py" "$out" ;;
esac
BENCH_ROWS=$(echo " $BENCH_ROWS " | sed 's/ symbols / /')
[ -n "${BENCH_ROWS// /}" ] || exit 0
export BENCH_ROWS
AGENT=$(realpath "${AGENT:-$builddir/.libs/libplugprof.so}") \
	exec python3 -B "$bench/table.py" "$out"
