#!/bin/bash
# The CPU and heap profiles of gperftools become profiles with names, lines and inlined functions,
# and the sums that pprof itself reads from them.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
profiler=$(echo /usr/lib/*/libprofiler.so.0)
tcmalloc=$(echo /usr/lib/*/libtcmalloc.so.4)
[ -e "$profiler" ] || skip "no libprofiler of gperftools"
[ -e "$tcmalloc" ] || skip "no libtcmalloc of gperftools"

# total FILE TYPE: "of N total" as pprof has it
total() {
	unit=minimum
	case $2 in *_space) unit=kb ;; esac
	"$go" tool pprof -symbolize=none -unit=$unit -sample_index="$2" -top "$1" 2>/dev/null |
		sed -n 's/^Showing nodes accounting for .* of \(.*\) total.*/\1/p'
}

# same_totals FILE TYPE...
same_totals() {
	for type in "${@:2}"; do
		theirs=$(total "$work/$1" "$type")
		ours=$(total "$work/$1.pb.gz" "$type")
		[ -n "$ours" ] || fail "$1: no total of $type"
		[ "$ours" = "$theirs" ] || fail "$1: $type is $ours, pprof reads $theirs"
	done
}

LD_PRELOAD=$profiler CPUPROFILE=$work/cpu "$samples/host" -t 0.5 "$samples/plugin_codec.so" >/dev/null 2>&1
"$tool" symbolize --strict "$work/cpu" -o "$work/cpu.pb.gz" 2>"$work/err" || fail "cpu: $(cat "$work/err")"
same_totals cpu samples cpu
"$go" tool pprof -top "$work/cpu.pb.gz" >"$work/out" 2>&1
for name in 'codec_huffman$' 'codec_bit (inline)$' 'host_work$' 'clone3$'; do
	grep -q " $name" "$work/out" || fail "cpu: no $name: $(cat "$work/out")"
done

(cd "$work" && LD_PRELOAD=$tcmalloc HEAPPROFILE=$work/heap "$samples/host" -t 0.2 "$samples/plugin_heap.so") \
	>/dev/null 2>&1
mv "$work"/heap.0001.heap "$work/heap" || fail "no heap profile"
"$tool" symbolize -q - <"$work/heap" >"$work/heap.pb.gz" || fail "heap: status $?"
same_totals heap inuse_space inuse_objects alloc_space alloc_objects
"$go" tool pprof -top "$work/heap.pb.gz" 2>&1 | grep -q ' heap_keep_large$' || fail "heap: no heap_keep_large"

# Scaled as pprof scales them, when only some allocations were sampled.
cp "$source_folder/tests/fuzz/corpus/profile/good-gperftools-heap" "$work/sampled"
"$tool" symbolize -q "$work/sampled" -o "$work/sampled.pb.gz" || fail "sampled: status $?"
same_totals sampled inuse_space inuse_objects alloc_space alloc_objects
finish
