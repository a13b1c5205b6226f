#!/bin/bash
# Labels that a host sets for its threads, in C++ or Go, are labels of its samples, of CPU time and of
# memory; a host without the agent runs the same.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
need_samples

# tag NAME REGEX INDEX: the part that samples have whose labels match key=REGEX.
tag() {
	"$go" tool pprof -raw "$work/$1.pb.gz" 2>/dev/null | awk -v index_="$3" -v wanted="$2" '
		/^Samples:/ { on = 1; next }
		/^Locations/ { on = 0 }
		!on { next }
		/^ +[0-9]+ +[0-9]+.*: / { split($0, values, " "); value = values[index_]; sub(/:$/, "", value)
			all += value; next }
		index($0, wanted) { part += value }
		END { printf "%.3f\n", all ? part / all : 0 }'
}

# part_is NAME LABEL INDEX LOW HIGH
part_is() {
	got=$(tag "$1" "$2" "$3")
	echo "$1: $2 has $got"
	awk -v got="$got" -v low="$4" -v high="$5" 'BEGIN { exit !(got >= low && got <= high) }' ||
		fail "$1: $2 has $got, not $4 to $5"
}

"$samples/labels" 600 >"$work/alone.out" || fail "labels alone: status $?"
record_well cxx -F 1000 --heap-interval=1 -- "$samples/labels" 600
cmp -s "$work/cxx.out" "$work/alone.out" || fail "labels: another result"
# Two of four units blue, one red, one without.
part_is cxx 'tenant:[blue]' 1 0.38 0.62
part_is cxx 'tenant:[red]' 1 0.15 0.35
part_is cxx 'request:[3]' 1 0.10 0.28
pprof cxx -top -tagfocus=tenant=blue
has 'labels::work$'
has_not 'labels::idle$'
pprof cxx -top -tagignore=tenant
has 'labels::idle$'
has_not 'labels::work$'
# Each thread allocates twice 1 MiB for red, and twice 2 MiB for blue.
mv "$work/cxx.heap.pb.gz" "$work/cxxheap.pb.gz" || fail "no heap profile"
part_is cxxheap 'tenant:[blue]' 2 0.60 0.67
part_is cxxheap 'tenant:[red]' 2 0.30 0.34
part_is cxxheap 'request:[3]' 2 0 0

if [ -x "$samples/golabels" ]; then
	"$samples/golabels" 1500 >"$work/alone.out" || fail "golabels alone: status $?"
	record_well go --cpu -F 1000 -- "$samples/golabels" 1500
	cmp -s "$work/go.out" "$work/alone.out" || fail "golabels: another result"
	# Go's scheduler runs in step with the ticks: the shares are not exact.
	part_is go 'tenant:[blue]' 1 0.30 0.75
	part_is go 'tenant:[red]' 1 0.10 0.45
	pprof go -top -tagfocus=tenant=red
	has 'main\.work$'
fi

# Without the header, by the function's name.
record_well python --cpu -F 1000 -- python3 -c '
import ctypes
ctypes.CDLL(None).plugprof_set_label(b"tenant", b"blue")
sum(hash(str(i)) for i in range(1000000))'
part_is python 'tenant:[blue]' 1 0.50 1

for profile in "$work"/*.pb.gz; do
	"$tool" check "$profile" >"$work/out" || fail "$profile: $(cat "$work/out")"
done
finish
