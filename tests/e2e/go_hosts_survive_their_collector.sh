#!/bin/bash
# Plugin calls from 100 goroutines, their stacks moved by a collector that never rests, new threads and
# signals, or labels that come and go, all the while: sampled 1000 times a second, with C's allocations,
# the host's result is the same, and its profiles are sound.
#
# GO_STRESS_SECONDS (6): for how long; GO_HOSTS=all: with every Go of the machine, in turn.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
# shellcheck source=tests/hosts/go_build.sh
. "$source_folder/tests/hosts/go_build.sh"

seconds=${GO_STRESS_SECONDS:-6}

# One fault in a long run is enough to know: each run is short.  stress NAME SETTING PROGRAM...
stress() {
	name=$1
	setting=$2
	alone=$(basename "$3").alone
	shift 2
	status=0
	record="timeout -k 5 $((part + 60)) $tool record --spool=$spool -o $work/$name.%n.pb.gz"
	# shellcheck disable=SC2086 # words
	env GOGC=1 "$setting" $record -F 1000 --heap-interval=64k -- "$@" >"$name.out" 2>"$name.err" ||
		status=$?
	[ $status -eq 0 ] || fail "$name: status $status: $(head -n 20 "$name.err")"
	grep -v '^plugprof: ' "$name.err" && fail "$name: words on stderr"
	cmp -s "$name.out" "$alone" || fail "$name: another result: $(cat "$name.out")"
	for profile in "$work/$name".*.pb.gz; do
		"$tool" check "$profile" >"$work/out" 2>&1 || fail "$profile: $(cat "$work/out")"
	done
	rm -f "$work/$name".*.pb.gz
}

compilers=("$go")
[ "${GO_HOSTS:-}" = all ] && mapfile -t compilers < <(every_go)
part=$((seconds / 3 / ${#compilers[@]}))
[ $part -gt 60 ] && part=60
[ $part -ge 1 ] || part=1
runs=0
end=$((SECONDS + seconds))
while [ $runs -eq 0 ] || { [ $SECONDS -lt $end ] && [ $failures -eq 0 ]; }; do
	for compiler in "${compilers[@]}"; do
		[ ${#compilers[@]} -eq 1 ] && [ $runs -gt 0 ] || {
			go_build "$compiler" '' program && labels_build "$compiler" ''
		} || finish
		./gohost -n 100 ./goplugin.so >gohost.alone || fail "gohost alone: status $?"
		./labels -n 50 ./goplugin.so >labels.alone || fail "labels alone: status $?"
		stress moving GODEBUG= ./gohost -storm -n 100 -t "$part" ./goplugin.so
		stress checked GODEBUG=gccheckmark=1 ./gohost -storm -n 100 -t "$part" ./goplugin.so
		stress labelled GODEBUG= ./labels -storm -n 50 -t "$part" ./goplugin.so
		runs=$((runs + 3))
	done
done
echo "$runs runs of $part s"
finish
