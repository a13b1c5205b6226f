#!/bin/bash
# Damaged DWARF, symbol maps, tables of Go, profiles and older profiles: no reader crashes, ends the
# process, takes longer than MUTANT_SECONDS or more memory than 1 GiB.
#
#   MUTANTS          how many of each (default 1000)
#   MUTANT_SECONDS   CPU time of one (default 10: a slow machine is no fault)
set -u
corpus=${srcdir:-.}/tests/fuzz/corpus
programs=${builddir:-.}/tests/fuzz
failures=0

# mutate TARGET FILE...
mutate() {
	target=$1
	shift
	printf '%-8s ' "$target"
	ASAN_OPTIONS=max_allocation_size_mb=1024:detect_leaks=${leaks:-1} timeout 3000 "$programs/mutate_$target" \
		-n "${MUTANTS:-1000}" -t "${MUTANT_SECONDS:-10}" "$@" || failures=$((failures + 1))
}
mutate elf "$corpus"/elf/*.so "$corpus"/elf/*.dwp
mutate map "$corpus"/map/*
mutate go "$corpus"/go/*
mutate profile "$corpus"/profile/good-[!g]*
mutate profile "$corpus"/profile/good-gperf* "$corpus"/profile/jemalloc-heap
exit $((failures > 0))
