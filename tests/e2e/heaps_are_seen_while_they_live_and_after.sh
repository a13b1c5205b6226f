#!/bin/bash
# The heap of a running process, read from its spool; of one that was killed at any moment; of
# parent and child; and of several programs.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper allocate
need_go
cd "$work" || exit 99

# value NAME INDEX FUNCTION: what a function has, with its callees; 0 if it is not there.
value() {
	pprof "$1" -top -nodefraction=0 -nodecount=100000 -sample_index="$2" -unit=B
	awk -v name="$3" '/flat%/ { on = 1; next } on && $6 == name { got = $4 + 0 } END { print got + 0 }' "$work/out"
}
is() {
	[ "$2" = "$3" ] || fail "$1 is $2, expected $3"
}

mkfifo hold ready
exec 3<>hold

# --- while it lives ---

LD_PRELOAD=$agent PLUGPROF="cpu=off,heap=1,spool=$spool" "$helpers/allocate" idle <hold >ready 2>err &
pid=$!
read -r -t 60 _ <ready || fail "allocate does not begin: $(cat err)"
"$tool" snapshot -o one.pb.gz "$pid" 2>err || fail "snapshot: status $?: $(cat err)"
grep -q '64.0 MiB in 1[0-9]* objects in use' err || fail "snapshot does not tell: $(cat err)"
[ "$(wc -l <err)" -le 6 ] || fail "snapshot: more than six lines"
is "a snapshot's objects" "$(value one inuse_objects idle)" 1000
is "a snapshot's bytes" "$(value one inuse_space idle)" 67108000
"$tool" snapshot -q "$pid" || fail "snapshot without a name"
"$tool" snapshot -q "$pid" || fail "snapshot without a name, again"
[ "$(echo allocate."$pid".heap*.pb.gz | wc -w)" -eq 2 ] || fail "snapshots: $(echo ./*.pb.gz)"
"$tool" snapshot -q -o two.pb.gz "$spool"/*.spool || fail "snapshot of a spool"
cmp -s one.pb.gz two.pb.gz || is "the same snapshot's bytes" "$(value two inuse_space idle)" 67108000
"$tool" leaks "$pid" >out 2>err || fail "leaks PID: status $?: $(cat err)"
grep -q '64.0 MiB .* (host)' out || fail "leaks PID: $(cat out)"
{ kill -9 "$pid" && wait "$pid"; } 2>/dev/null
for command in snapshot leaks; do
	PLUGPROF="spool=$spool" "$tool" $command "$pid" >out 2>err && fail "$command of a killed process: status 0"
	grep -q "process $pid has ended.*plugprof recover $spool/$pid" err || fail "what to do now: $(cat err)"
done
"$tool" recover -q --spool="$spool" -o killed.pb.gz || fail "recover: status $?"
is "a killed process's bytes" "$(value killed inuse_space idle)" 67108000
[ -z "$(ls -A "$spool")" ] || fail "left in the spool folder: $(ls -A "$spool")"
exec 3>&-

# What cannot be had is said in one line.
one_line() {
	status=$1
	shift
	"$tool" "$@" >out 2>err
	is "status of $*" $? "$status"
	[ ! -s out ] || fail "$*: prints $(cat out)"
	[ "$(wc -l <err)" -eq 1 ] || fail "$*: $(cat err)"
}
one_line 1 snapshot $$
grep -q "not being recorded" err || fail "snapshot of another process: $(cat err)"
one_line 1 snapshot 4194999
one_line 1 snapshot one.pb.gz
one_line 2 snapshot
one_line 1 leaks 4194999
one_line 1 leaks nothing.pb.gz
(LD_PRELOAD=$agent PLUGPROF="heap=off,spool=$spool" sh -c 'kill -9 $$'; true) 2>/dev/null
for command in snapshot leaks; do
	one_line 1 $command "$(echo "$spool"/*.spool)"
	grep -q "started with heap=off" err || fail "$command without allocations: $(cat err)"
done
rm -f "$spool"/*.spool
one_line 2 leaks
one_line 2 leaks one.pb.gz two.pb.gz
one_line 2 leaks --fail-above=much one.pb.gz
"$tool" record -q --cpu -o cpu.pb.gz -- true
one_line 1 leaks cpu.pb.gz
grep -q "no heap profile" err || fail "leaks of a CPU profile: $(cat err)"

# --- killed at any moment ---

# Each of four threads may be between the allocator and its own books: one block of 2000 bytes each.
# One arena without caches: what a thread frees another gets at once. Sampled, N bytes come with a deviation
# of sqrt(interval * N), hardly ever of 4.5 times that.
for moment in 1:0.02 1:0.05 1:0.11 1:0.17 1:0.23 4096:0.04 4096:0.08 4096:0.2; do
	interval=${moment%:*} delay=${moment#*:}
	rm -f TRUTH killed.pb.gz
	GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1 \
		LD_PRELOAD=$agent PLUGPROF="cpu=off,heap=$interval,spool=$spool" "$helpers/allocate" churn >out 2>&1 &
	pid=$!
	until [ -s out ]; do sleep 0.01; done
	sleep "$delay"
	{ kill -9 $pid && wait $pid; } 2>/dev/null
	"$tool" recover -q --spool="$spool" -o killed.pb.gz || fail "recover: status $?"
	truth=$(od -An -v -tu8 -N32 TRUTH | tr -s ' \n' '\n' | awk '{ sum += $1 } END { printf "%d", sum }')
	got=$(value killed inuse_space churn_once)
	[ "$truth" -gt 1000000 ] || fail "killed after $delay s: held only $truth"
	awk -v got="$got" -v truth="$truth" -v interval="$interval" 'BEGIN {
		difference = got > truth ? got - truth : truth - got
		exit difference > 4 * 2 * 2000 + (interval > 1) * 4.5 * sqrt(interval * truth) }' ||
		fail "heap=$interval, killed after $delay s: in use $got, in truth $truth"
done

# --- fork ---

PLUGPROF="spool=$spool,cpu=off,heap=1,file=$work/fork.%p.pb.gz" LD_PRELOAD=$agent "$helpers/allocate" fork \
	>out 2>&1 || fail "fork: status $?"
for file in fork.*.pb.gz; do
	name=${file%.pb.gz}
	if [ "$(value "$name" alloc_space parents)" -gt 0 ]; then
		is "the parent's own" "$(value "$name" inuse_space parents)" 500000
		is "the child's, in the parent" "$(value "$name" inuse_space childs)" 0
	else
		is "the parent's, in the child" "$(value "$name" inuse_space parents)" 250000
		is "the child's own" "$(value "$name" inuse_space childs)" 70000
		is "the child's allocations" "$(value "$name" alloc_space childs)" 70000
	fi
done
[ "$(echo fork.*.pb.gz | wc -w)" -eq 2 ] || fail "fork: profiles $(echo fork.*.pb.gz)"
# A copy of the process that no hook has seen must not write into its parent's spool.
PLUGPROF="spool=$spool,cpu=off,heap=1,file=$work/clone.pb.gz" LD_PRELOAD=$agent "$helpers/allocate" clone \
	>out 2>&1 || fail "clone: status $?"
is "the parent's own, beside a copy" "$(value clone inuse_space parents)" 500000
is "the copy's, in the parent" "$(value clone alloc_space childs)" 0

# --- more in use than there are places: a limit of a file's size makes them few ---

(
	ulimit -f 1000000
	"$tool" record --spool="$spool" --heap --heap-interval=1 -o full.pb.gz -- "$helpers/allocate" crowd >out 2>err
) || fail "crowd: status $?: $(cat err)"
grep -Eq 'heap: more than .* in 32768 objects in use \(no place for [0-9]+ more: raise --heap-interval\)' err ||
	fail "record does not say that places were too few: $(cat err)"
[ "$(wc -l <err)" -le 6 ] || fail "full: more than six lines"
"$tool" leaks -q full.pb.gz >out 2>err || fail "leaks of what is not all: status $?"
grep -Eq '^plugprof: full\.pb\.gz: not seen among those in use: [0-9]+ allocations' err || fail "leaks: $(cat err)"
is "what was allocated, place or not" "$(value full alloc_objects crowd)" 40000

# --- of several programs, the one that allocates most has the name that was asked for ---

"$tool" record --spool="$spool" --heap --heap-interval=1 -o several.pb.gz -- \
	sh -c "'$helpers/allocate' clone; exit 3" >out 2>err
is "a script's status" $? 3
grep -q 'allocated in 2 processes, a file each, the busiest below$' err || fail "which file it is: $(cat err)"
[ "$(wc -l <err)" -le 6 ] || fail "several: more than six lines"
is "its program's own" "$(value several inuse_space parents)" 500000
finish
