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

# The agent's own flags (agent_cflags in Makefile.am) with -fPIC, as libtool builds it.
agent_flags="-fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
	-fno-plt -fPIC"
agent_sources="agent/cfi.c agent/cfi_expression.c agent/code_exit.c agent/code_ranges.c
	agent/go_runtime.c agent/instruction.c agent/loaded_object.c agent/module_life.c
	agent/module_maps.c
	agent/modules.c agent/real.c agent/real_alloc.c agent/rule_cache.c agent/threads.c
	agent/unwind_bare.c agent/unwind_cfi.c agent/unwind_deep.c agent/unwind_rule.c
	agent/unwind_walk.c
	spool/heap_writer.c spool/label_writer.c spool/spool_layout.c spool/spool_writer.c
	base/build_id.c base/content_id.c base/monotonic.c base/sha256.c
	base/go_layout.c"

# build NAME "FLAGS" FILE...: files relative to src/
build() {
	name=$1 flags=$2
	shift 2
	set -- "${@/#/$srcdir/src/}"
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
build spool_cost "" spool/spool_reader.c base/xalloc.c base/file.c
# shellcheck disable=SC2086 # words
build unwinders "$agent_flags" $agent_sources

unset LD_PRELOAD PLUGPROF CPUPROFILE
case " ${BENCH_ROWS:=unwind thread overhead heap dl start process memory hosts symbols} " in
*" symbols "*) TOOL=$(realpath "$builddir/plugprof") python3 -B "$bench/symbols.py" "$out" ;;
esac
BENCH_ROWS=$(echo " $BENCH_ROWS " | sed 's/ symbols / /')
[ -n "${BENCH_ROWS// /}" ] || exit 0
export BENCH_ROWS
AGENT=$(realpath "${AGENT:-$builddir/.libs/libplugprof.so}") \
	exec python3 -B "$bench/table.py" "$out"
