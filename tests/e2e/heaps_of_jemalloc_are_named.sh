#!/bin/bash
# A heap profile of jemalloc gets names and lines, has the sums that the file tells, and shows who
# called the allocator, not its insides.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_go
jemalloc=$(echo /usr/lib/*/libjemalloc.so.2)
[ -e "$jemalloc" ] || skip "no libjemalloc"

# heap NAME SETTING: of the sample host, every allocation sampled.
heap() {
	LD_PRELOAD=$jemalloc MALLOC_CONF="prof:true,prof_final:true,lg_prof_sample:0,prof_prefix:$work/$1,$2" \
		"$samples/host" -t 0.2 "$samples/plugin_heap.so" >/dev/null 2>&1
	mv "$work/$1".*.heap "$work/$1.heap" 2>/dev/null || skip "this jemalloc was built without profiling"
	"$tool" symbolize -q -o "$work/$1.pb.gz" "$work/$1.heap" || fail "$1: status $?"
}
# sum NAME FIELD: of the line of the whole, "  t*: 1: 2 [3: 4]".
sum() {
	sed -n 2p "$work/$1.heap" | tr -c '0-9\n' ' ' | awk -v field="$2" '{ print $field }'
}
# total_of NAME COLUMN: of the samples' values.
total_of() {
	"$go" tool pprof -symbolize=none -raw "$work/$1.pb.gz" 2>/dev/null | awk -v column="$2" '
		/^Samples:/ { on = 1; next }
		/^Locations/ { on = 0 }
		on && $1 ~ /^[0-9]+$/ { sub(/:.*/, ""); sum += $column }
		END { print sum + 0 }'
}
# adds_up NAME COLUMN FIELD
adds_up() {
	[ "$(total_of "$1" "$2")" = "$(sum "$1" "$3")" ] ||
		fail "$1: column $2 has $(total_of "$1" "$2"), the file tells $(sum "$1" "$3")"
}

heap live prof_accum:false
adds_up live 1 1
adds_up live 2 2
[ "$(total_of live 2)" -gt 1000000 ] || fail "hardly anything: $(total_of live 2) bytes"
pprof live -raw
has_not 'alloc_space'
pprof live -top
has ' heap_keep_large$'
has_not 'libjemalloc'
pprof live -list=heap_keep_large
has 'plugin_heap\.c'

heap all prof_accum:true
for column in 1 2; do
	adds_up all $column $((column + 2))
	adds_up all $((column + 2)) $column
done
finish
