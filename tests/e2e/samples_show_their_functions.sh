#!/bin/bash
# In stock go tool pprof, the C and C++ samples have the functions, lines, inlined frames, roots and
# shares that samples/README.md states.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper spool_counters
need_go
# Or the samples run in step with the kernel's ticks, and the shares are of one phase.
export WORK_JITTER=1

worker='clone3? > start_thread > host_worker > host_work > host_pass'
main='_start > .* > main > host_run > host_work > host_pass'

# function_is_at NAME FUNCTION FILE LOW HIGH: some location of it is there, between these lines.
function_is_at() {
	awk -v function_name="$2" -v file="/$3:" -v low="$4" -v high="$5" '
		index($0, file) {
			line = $0
			sub(/^ *[0-9]+: 0x[0-9a-f]+ M=[0-9]+ /, "", line)
			sub(/^ +/, "", line)
			if (index(line, function_name " ") != 1)
				next
			number = substr(line, index(line, file) + length(file)) + 0
			if (number >= low && number <= high)
				found = 1
			else
				print "line " number " of " function_name
		}
		END { exit !found }' "$work/out" || fail "$1: no $2 at $3:$4-$5"
}

# lines_of FILE FUNCTION: first and last line of its definition; for that, its name is followed by (
# on a line that does not end in ; and its end is a } in the first column.
lines_of() {
	awk -v start="(^|[^a-z_])$2\\\\(" '
		!first && $0 ~ start && !/;$/ { first = FNR }
		first && /^}/ { print first, FNR; exit }' "$samples_source/$1"
}
samples_source=$source_folder/samples

check_lines() {
	file=$2
	function=$3
	read -r low high <<<"$(lines_of "$file" "${4:-$function}")"
	[ -n "$high" ] || {
		fail "$file: no $function in the source"
		return
	}
	function_is_at "$1" "$function" "$file" "$low" "$high"
}

plugin_is() {
	has "^ +plugin: +$1\$"
}

# --- C: static, hidden and inlined functions ---

record_well codec -F 1000 -- "$samples/host" -n 2 -t 2.5 -r 10 "$samples/plugin_codec.so"
stacks codec
plugin_is plugin_codec.so
plugin_is '\(host\)'
has '^ +thread: +worker-0$'
has '^ +thread: +worker-1$'
every_stack_is_whole codec "$any_root"
share_is codec "^$worker > plugin_run > codec_encode > codec_huffman( > codec_bit)?\$" 0.5
share_is codec '> codec_huffman > codec_bit$' 0.16667
share_is codec "^$worker > plugin_run > codec_encode > codec_dct\$" 0.16667
share_is codec "^$worker > plugin_run > codec_encode > codec_quantize\$" 0.16667
share_is codec "^$worker > host_mix\$" 0.16667
pprof codec -top
has 'codec_bit \(inline\)$'
has '^File: host$'
has '^Type: cpu$'
pprof codec -raw
check_lines codec plugin_codec.c codec_bit
check_lines codec plugin_codec.c codec_huffman
check_lines codec plugin_codec.c codec_dct
check_lines codec plugin_codec.c codec_encode
check_lines codec plugin_codec.c plugin_run
check_lines codec plugin_codec_hidden.c codec_quantize
check_lines codec host.c host_mix
check_lines codec host.c host_pass
check_lines codec host.c host_worker

# --- C without frame pointers, in the main thread ---

record_well nofp -F 1000 -- "$samples/host" -n 0 -t 4 -r 4 "$samples/plugin_nofp.so"
stacks nofp
every_stack_is_whole nofp "$any_root"
chain="^$main > plugin_run"
for number in 01 02 03 04 05 06 07 08 09 10 11 12; do
	chain="$chain > nofp_$number"
	share_is nofp "$chain\$" 0.07692
done
pprof nofp -raw
check_lines nofp plugin_nofp.c nofp_12
check_lines nofp host.c host_run
check_lines nofp host.c main

# --- five plugins in two threads: C++, virtual functions, exceptions, a library behind RUNPATH ---

mapfile -t five < <(plugins codec nofp chain shapes heap)
record_well all -F 1000 -- "$samples/host" -n 2 -t 4 -r 2 "${five[@]}"
stacks all
every_stack_is_whole all "$any_root"
run="^$worker > plugin_run"
survey="$run > acme::shapes::survey"
# Of 32 units: 5 + 12 + 3 + 6 + 1 of the plugins and 5 of the host.  (Heap's first run is small.)
share_is all "^$worker > host_mix\$" 0.15625
share_is all "$run > chain_link\$" 0.03125
share_is all "$run > chain_dep_run > chain_dep_grind\$" 0.0625
share_is all "$survey > acme::shapes::circle::area\$" 0.0625
share_is all "$survey > acme::shapes::polygon<6u>::area\$" 0.03125
share_is all "$survey > acme::shapes::apply<.*> > acme::shapes::survey.*::operator\\(\\)\$" 0.03125
share_is all "$survey > acme::shapes::\\(anonymous namespace\\)::perimeter\$" 0.03125
share_is all "$survey > acme::shapes::parse > acme::shapes::parse_point > acme::shapes::parse_number\$" \
	0.03125
share_is all "$run > nofp_01( > nofp_..)*\$" 0.375
share_is all "$run > .*heap_churn( |\$)" 0.03125
for plugin in codec nofp shapes heap chain; do
	plugin_is "plugin_$plugin.so"
done
plugin_is libchain_dep.so
pprof all -raw
has ' /.*/deps/libchain_dep.so [0-9a-f]{40} \[FN\]\[FL\]\[LN\]\[IN\]$'
check_lines all chain_dep.c chain_dep_grind
check_lines all plugin_shapes.cc acme::shapes::parse_number parse_number

# --- exceptions, and many short threads: each a unit times the rounds, about a millisecond ---

record_well thrower -F 1000 -- "$samples/host" -n 1 -t 2 "$samples/plugin_thrower.so"
stacks thrower
every_stack_is_whole thrower "$any_root"
attempt="^$worker > plugin_run > thrower::attempt > thrower::outer > thrower::middle"
for function in thrower::inner thrower::cleanup::~cleanup; do
	grep -Pq "\t${attempt#^} > $function\$" "$work/stacks" || fail "thrower: no $function below $attempt"
done
# -t is the worker's CPU time, 4 units and that of starting threads; the threads come on top.  What a
# thread did between the last tick and its end is under the function it began with: libstdc++'s.
background='^clone3? > start_thread > (libstdc\+\+\.so\.6!fn_[^ ]*|execute_native_thread_routine|std::.*) >'
share_is thrower "$background" 0.2
grep -Eq "${background#^}"' (.* > )?thrower::background$' "$work/stacks" || fail "thrower: no thrower::background"
has '^ +thread: +worker-0$'
pprof thrower -raw
check_lines thrower plugin_thrower.cc thrower::inner inner

# --- C++ host that throws through the plugin and back ---

record_well cxxhost -F 1000 -- "$samples/cxxhost" -t 3 -r 10 "$samples/boundary.so"
stacks cxxhost
every_stack_is_whole cxxhost "$any_root"
attempt='^_start > .* > main > cxxhost::work > cxxhost::pass > cxxhost::attempt'
share_is cxxhost "$attempt > boundary_run > boundary::dig\$" 0.57143
share_is cxxhost "$attempt > boundary_run > boundary::call_back > cxxhost::callback\$" 0.14286
share_is cxxhost "$attempt > cxxhost::recover\$" 0.28571

# --- two threads in libc's own code ---

record_well sorter -F 1000 -- "$samples/sorter" -t 2
stacks sorter
every_stack_is_whole sorter "$any_root"
pass='^clone3? > start_thread > sorter_worker > sorter_work > sorter_pass'
share_is sorter "$pass( |\$)" 1
# libc's part depends on the processor: over five per cent each.
for part in 'sorter_sort > .* > sorter_compare > sorter_key$' 'sorter_copy > [^>]*(memcpy|memmove)[^>]*$' \
	'sorter_measure > [^>]*strlen[^>]*$'; do
	share=$(share_of "$pass > $part")
	echo "sorter: $part $share"
	awk -v share="$share" 'BEGIN { exit !(share > 0.05) }' || fail "sorter: $part has $share"
done

finish
