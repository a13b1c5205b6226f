#!/bin/bash
# Children by fork, vfork, posix_spawn, system and daemon, grandchildren that outlive their parents,
# and threads of every kind: each process has a profile of its own, whole and with names; the
# program does what it does without us.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper processes
need_go
program=$helpers/processes

profiles() {
	find "$work/$1" -name '*.pb.gz' | wc -l
}

# follow HOW [SPOOLS]: run it with the agent alone, in a folder of its own, where the profiles come.
# SPOOLS: it leaves somebody behind; wait until that one has written, and no more than so many are left.
follow() {
	how=$1
	mkdir -p "$work/$how.plain" "$work/$how"
	(cd "$work/$how.plain" && wait_no_longer_than 60 "$program" "$how") >"$work/plain" 2>&1
	plain=$?
	(cd "$work/$how" && preload freq=1000,heap=off "$program" "$how") >"$work/agent" 2>&1
	status=$?
	[ $status -eq $plain ] || fail "$how: status $status, without us $plain"
	cmp -s "$work/plain" "$work/agent" || {
		fail "$how: other output"
		diff "$work/plain" "$work/agent"
	}
	# Who outlives the first process writes a profile later than it.
	if [ $# -eq 2 ]; then
		for _ in $(seq 300); do
			left=$(find "$spool" -name '*.spool' | wc -l)
			[ -e "$work/$how/$how.done" ] && [ "$left" -le "$2" ] && break
			sleep 0.1
		done
	fi
	[ -z "$(ls "$spool")" ] || fail "$how: left in the spool folder: $(ls "$spool")"
	rm -f "$spool"/*
}

# profile_of HOW FUNCTION: the one profile in which 40 % of the time is FUNCTION's; all its stacks are whole.
# In $work/stacks; its name in $profile.
profile_of() {
	profile=
	for file in "$work/$1"/*.pb.gz; do
		stacks "$1/$(basename "$file" .pb.gz)"
		if awk -v share="$(share_of "> $2( |\$)")" 'BEGIN { exit !(share > 0.4) }'; then
			profile=$1/$(basename "$file" .pb.gz)
			break
		fi
	done
	if [ -z "$profile" ]; then
		fail "$1: no profile of $2 among: $(ls "$work/$1")"
		return
	fi
	every_stack_is_whole "$profile" "$any_root"
}

# periods_are HOW FUNCTION MILLISECONDS: so many are in the profile of FUNCTION, but for a kernel tick at
# most (10 ms), and 40 % of them in FUNCTION.  (Not all: on a busy machine the kernel's ticks may miss a
# thread for a while; that time is counted at the thread's end.)
periods_are() {
	profile_of "$1" "$2"
	[ -n "$profile" ] || return
	got=$(awk -F'\t' '{ sum += $1 } END { print sum + 0 }' "$work/stacks")
	echo "$1: $2 and all above it have $got of $3"
	if [ "$got" -lt $(($3 - 12)) ] || [ "$got" -gt $(($3 + 40)) ]; then
		fail "$1: $2 has $got periods of about $3"
		cat "$work/stacks"
	fi
}

follow fork
[ "$(profiles fork)" -eq 3 ] || fail "fork: $(profiles fork) profiles of 3 processes"
periods_are fork burn_parent 200
periods_are fork burn_child 150
has '_start'
periods_are fork burn_grandchild 150
# What the parent did is its own.
grep -E 'burn_(parent|child)' "$work/stacks" && fail "fork: a grandchild with its parents' samples"

follow nested
[ "$(profiles nested)" -eq 2 ] || fail "nested: $(profiles nested) profiles of 2 processes"
profile_of nested burn_parent
grep -q 'start_thread > fork_in_thread > burn_thread' "$work/stacks" || fail "nested: no burn_thread"
periods_are nested burn_child 150
grep -Eq 'start_thread > (fork_in_thread > )+burn_child' "$work/stacks" || fail "nested: burn_child elsewhere"

follow vfork
periods_are vfork burn_parent 200
periods_are vfork burn_exec 150
[ "$(profiles vfork)" -eq 2 ] || fail "vfork: $(profiles vfork) profiles of 2 programs"

follow spawn
periods_are spawn burn_parent 200
periods_are spawn burn_exec 150

follow system
periods_are system burn_parent 200
periods_are system burn_exec 150

follow daemon 0
profile_of daemon burn_parent
periods_are daemon burn_child 200
follow orphan 0
periods_are orphan burn_grandchild 200
periods_are orphan burn_parent 100

follow threads
profile_of threads '(run_thread|do_threads)'
grep -q 'start_thread > run_thread > burn_thread' "$work/stacks" || fail "threads: no burn_thread"
grep -q 'main > do_threads > burn_parent' "$work/stacks" || fail "threads: no burn_parent"
# 200 of 3 ms: the threads' time is all there, within 4.5 standard deviations of at most half a period
# for each thread, and the 1 % that a thread's start takes.
got=$(awk -F'\t' '/start_thread > run_thread/ { sum += $1 } END { print sum + 0 }' "$work/stacks")
echo "threads: run_thread has $got of 600"
if [ "$got" -lt 562 ] || [ "$got" -gt 645 ]; then
	fail "threads: run_thread has $got periods of about 600"
fi

follow thrd
profile_of thrd burn_thrd
grep -q 'start_thread > run_thrd > burn_thrd' "$work/stacks" || fail "thrd: no burn_thrd"

# A thread that glibc does not know: found by the scan, twice a second at most, so that of its 1.5 s
# at least a third is there, also where both threads share a processor.
follow clone
profile_of clone '(burn_clone|burn_parent)'
got=$(awk -F'\t' '/ > burn_parent/ { sum += $1 } END { print sum + 0 }' "$work/stacks")
[ "$got" -ge 980 ] || fail "clone: burn_parent has $got periods of 1000"
got=$(awk -F'\t' '/run_clone > burn_clone/ { sum += $1 } END { print sum + 0 }' "$work/stacks")
echo "clone: burn_clone has $got of 1500"
if [ "$got" -lt 500 ] || [ "$got" -gt 1540 ]; then
	fail "clone: burn_clone has $got periods of 1500"
fi

# All of them under record: one file named as asked, the others with their pids.
mkdir "$work/all"
(cd "$work/all" && "$tool" record --spool="$spool" -F 1000 -o out.pb.gz -- "$program" fork) \
	>"$work/out" 2>"$work/err" || fail "record: status $?"
[ "$(profiles all)" -eq 3 ] || fail "record: $(profiles all) profiles of 3 processes"
[ -e "$work/all/out.pb.gz" ] || fail "record: no out.pb.gz"
[ "$(wc -l <"$work/err")" -le 6 ] || fail "record: more than six lines on stderr"
grep -q ' 3 processes' "$work/err" || fail "record: does not say how many processes"
periods_are all burn_grandchild 150
finish
