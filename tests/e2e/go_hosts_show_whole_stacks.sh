#!/bin/bash
# A Go host whose plugin calls C without frame pointers and C++, which call Go again, has whole
# stacks: 99 % of the samples taken under cgo reach the goroutine's root, and calls back into Go keep
# all four parts.  Also when it was stripped, while Go's own profiler runs, and for C's allocations.
#
# GO_HOSTS=all: with every Go of the machine, under the race detector, and a Go library in a C host.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
# shellcheck source=tests/hosts/go_build.sh
. "$source_folder/tests/hosts/go_build.sh"

plugin='plugprof\.example/hosts/plugin'
root='runtime\.(goexit|mstart|rt0_go)'

# part NAME AMONG MATCHING AT_LEAST: of the samples whose stack matches AMONG, that part matches MATCHING.
part() {
	among=$2 matching=$3 awk -F'\t' -v what="$1" -v least="$4" '
		$2 ~ ENVIRON["among"] { all += $1; if ($2 ~ ENVIRON["matching"]) good += $1
			else other = other "\n" $0 }
		END {
			printf "%s: %d of %d samples\n", what, good, all
			if (all < 50 || good < least * all) { print substr(other, 2); exit 1 }
		}' "$work/stacks" || fail "$1"
}

# at_most NAME REGEX SHARE
at_most() {
	got=$(share_of "$2")
	awk -v got="$got" -v most="$3" 'BEGIN { exit !(got <= most) }' || fail "$1: $got of the samples are not"
}

# stacks_are_whole NAME FLAGS: those of the profile NAME, of a host built with FLAGS.
stacks_are_whole() {
	local under_cgo='runtime\.asmcgocall > ' back="$plugin\\.goCallback > $plugin\\.backInGo"
	local run="main\\.worker > $plugin\\.Run > $plugin\\.work"
	local leaf='c_leaf$'
	[ -z "$2" ] || leaf='goplugin\.so!fn_[0-9a-f]+$' # a static function: no name is left

	stacks "$1"
	part "$1: C reaches Go's root" "$under_cgo" "^$root" 0.99
	part "$1: C called from goroutines has its callers" "Cfunc_c_work > .*$leaf" \
		"^runtime\\.goexit > main\\.main.* > $run > .*c_work" 0.99
	part "$1: Go called from C has the C above it" "$back" \
		"^runtime\\.goexit > .*$run > $plugin\\._Cfunc_c_calls_go > .* > c_calls_go > .* > crosscall2 > " 0.99
	part "$1: C called from Go called from C" "$back > .*c_inner > .*$leaf" \
		"c_calls_go > .* > crosscall2 > .* > $back > $plugin\\._Cfunc_c_inner > .*asmcgocall > .*c_inner" 0.99
	part "$1: leaves without a frame have their callers" "$plugin\\.goLeaf\$" \
		"($plugin\\.work|$plugin\\.backInGo|$plugin\\.goThrowing) > $plugin\\.goLeaf\$" 0.99
	part "$1: every stack has its root" . \
		"^($root|runtime\\.mcall|_start|_rt0_amd64.*|clone3?|crosscall.*)( >|\$)" 0.99
	# A tick that comes while Go preempts a goroutine is the goroutine's.
	at_most "$1: preemption is not shown as work" 'runtime\.asyncPreempt$' 0.005
	at_most "$1: stacks are not truncated" '\[truncated' 0.005
}

# hosts_have_whole_stacks NAME GO FLAGS KIND
hosts_have_whole_stacks() {
	go_build "$2" "$3" "$4" || return
	record_well "$1" --cpu -F 1000 -- ./gohost -n 4 -t 2 ./goplugin.so
	stacks_are_whole "$1" "$3"
}

# Both profilers see the same CPU time: Go's is 100 Hz, and only of its own threads.
both_profilers_agree() {
	record_well "$1" --cpu -F 1000 -- ./gohost -n 2 -t 2 -cpuprofile="$work/own.pb.gz" ./goplugin.so
	stacks_are_whole "$1" ''
	"$go" tool pprof -raw "$work/own.pb.gz" >"$work/out" 2>/dev/null ||
		fail "$1: Go's own profile is not readable"
	awk -v ours="$(total "$1")" '/^Samples:/ { on = 1; next } /^Locations/ { on = 0 }
		on && $1 ~ /^[0-9]+$/ { own += $1 }
		END { printf "Go saw %d ms, we %d\n", own * 10, ours
			exit !(own * 10 > 0.6 * ours && own * 10 < 1.4 * ours) }' "$work/out" ||
		fail "$1: the two profiles do not agree"
}

# What is fetched over HTTP has the same frames on top as ours: C is one leaf there.
fetched_profile_agrees() {
	record_well "$1" --cpu -F 1000 -- ./gohost -n 2 -t 2 -fetch="$work/fetched.pb.gz" ./goplugin.so
	stacks_are_whole "$1" ''
	"$go" tool pprof -top "$work/fetched.pb.gz" >"$work/out" 2>/dev/null ||
		fail "$1: what net/http/pprof served is not readable"
	has ' runtime\.cgocall'
	has " $plugin\.goLeaf"
}

allocations_have_their_callers() {
	record_well "$1" --heap --heap-interval=1 -- ./gohost -n 1 -r 1 -a 100 ./goplugin.so
	pprof "$1" -traces -sample_index=inuse_objects
	awk -v plugin="$plugin" '
		/^-+\+-/ { if (chain ~ /c_allocate/) { print count, chain; found = count; whole = chain }
			chain = ""; count = ""; next }
		/^ +[a-z]+:  / { next }
		count == "" && $1 ~ /^[0-9]+$/ { count = $1; $1 = "" }
		{ sub(/^ +/, ""); chain = $0 " > " chain }
		END { exit !(found == 100 && whole ~ "^runtime.goexit > runtime.main > main.main > " \
			plugin "\\.Allocate > " plugin \
			"\\._Cfunc_c_allocate > .*runtime.asmcgocall > .* > c_allocate") }
	' "$work/out" || fail "$1: 100 blocks of c_allocate, below main.main"
}

c_hosts_have_whole_stacks() {
	go_build "$2" "" shared || return
	record_well "$1" --cpu -F 1000 -- ./c_host ./shared.so 4000
	stacks "$1"
	part "$1: Go in a C host reaches C's root" 'main\.sharedLeaf$' \
		'^(_start > .* > main|clone3?.*) > .*c_caller > SharedWork > crosscall2 > .* > main\.SharedWork ' 0.99
}

if [ "${GO_HOSTS:-}" = all ]; then
	mapfile -t compilers < <(every_go)
else
	compilers=("$go")
fi
for compiler in "${compilers[@]}"; do
	version=$("$compiler" version | sed 's/.* go\([0-9.]*\).*/go\1/')
	hosts_have_whole_stacks "$version-stripped" "$compiler" '-s -w' program
	hosts_have_whole_stacks "$version" "$compiler" '' program
	both_profilers_agree "$version-both"
	allocations_have_their_callers "$version-heap"
	if [ "${GO_HOSTS:-}" = all ]; then
		fetched_profile_agrees "$version-fetched"
		hosts_have_whole_stacks "$version-race" "$compiler" '' race
		c_hosts_have_whole_stacks "$version-shared" "$compiler"
	fi
done
finish
