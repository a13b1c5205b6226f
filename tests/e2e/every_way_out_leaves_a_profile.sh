#!/bin/bash
# However a program ends (return, exit, _exit, quick_exit, abort, a fault, SIGKILL, exec), what it
# had been sampled is written whole: by the agent itself where the program has a last word, else
# by plugprof recover.  Under record and without it; children of fork too.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper spool_counters
need_go

codec=$samples/plugin_codec.so
milliseconds=300 # of CPU time in one thread, at 1000 Hz: as many periods

# The worker's time is stated, and its first tick is up to a period late; its end up to a tick of
# the kernel (10 ms at most) unseen.  More than stated: loading, and a machine that was so busy that
# the last pass (6 ms) took longer.
periods_are_right() {
	if [ "$2" -lt $((milliseconds - 12)) ] || [ "$2" -gt $((milliseconds + 60)) ]; then
		fail "$1: $2 periods of about $milliseconds"
	fi
}

is_complete() {
	periods_are_right "$1" "$(total "$1")"
	stacks "$1"
	every_stack_is_whole "$1" "$any_root"
	has 'codec_encode'
}

spools_left() {
	find "$spool" -type f | wc -l
}

# expected status of: the program itself
status_of() {
	case $1 in
	abort) echo 134 ;;
	segv) echo 139 ;;
	kill) echo 137 ;;
	*) echo 7 ;;
	esac
}

for how in return exit _exit quick_exit abort segv kill; do
	expected=$(status_of $how)

	# The agent alone.
	rm -f "$spool"/*
	preload "freq=1000,heap=off,file=$work/alone-$how.pb.gz" \
		"$samples/host" -t 0.$milliseconds --exit=$how --status=7 "$codec" >"$work/out" 2>"$work/err"
	status=$?
	[ $status -eq "$expected" ] || fail "$how, agent alone: status $status, not $expected"
	grep -v -e Aborted -e 'Segmentation fault' -e Killed "$work/err" && fail "$how: says more than the host"
	case $how in
	abort | segv | kill)
		[ "$(spools_left)" -eq 1 ] || fail "$how, agent alone: $(spools_left) spools left"
		[ -e "$work/alone-$how.pb.gz" ] && fail "$how, agent alone: written by whom?"
		kept=$("$helpers/spool_counters" "$spool"/*.spool | sed 's/.* kept \([0-9]*\) .*/\1/')
		"$tool" recover -q --spool="$spool" 2>"$work/err" || fail "$how: recover: $(cat "$work/err")"
		[ -s "$work/err" ] && fail "$how: recover -q says $(cat "$work/err")"
		[ "$(total alone-$how)" -eq "$kept" ] || fail "$how: recovered less than $kept"
		;;
	esac
	is_complete alone-$how
	[ "$(spools_left)" -eq 0 ] || fail "$how, agent alone: $(spools_left) spools left"

	# Under record.
	record "record-$how" -q -F 1000 --cpu -- "$samples/host" -t 0.$milliseconds --exit=$how --status=7 "$codec"
	status=$?
	[ $status -eq "$expected" ] || fail "$how, record: status $status, not $expected"
	[ -s "$work/record-$how.err" ] && fail "$how: record -q says $(cat "$work/record-$how.err")"
	is_complete record-$how
	[ "$(spools_left)" -eq 0 ] || fail "$how, record: $(spools_left) spools left"
done

# --- a thread that runs on while the process ends ---

for how in return _exit quick_exit kill; do
	record "linger-$how" -F 1000 --cpu -- "$samples/host" -t 0.1 --linger --exit=$how "$codec"
	stacks "linger-$how"
	every_stack_is_whole "linger-$how" "$any_root"
	has 'codec_encode'
	[ "$(spools_left)" -eq 0 ] || fail "linger, $how: $(spools_left) spools left"
done

# --- exec: the program before it and the one after it ---

preload "freq=1000,heap=off,file=$work/exec.%n.pb.gz" "$samples/host" -t 0.$milliseconds --exec "$codec" \
	>"$work/out" 2>"$work/err" || fail "exec: status $?: $(cat "$work/err")"
for profile in exec.0 exec.1; do
	is_complete $profile
done
[ "$(spools_left)" -eq 0 ] || fail "exec: $(spools_left) spools left"

record record-exec -F 1000 --cpu -- "$samples/host" -t 0.$milliseconds --exec "$codec"
mapfile -t found < <(cd "$work" && ls record-exec*.pb.gz)
[ ${#found[@]} -eq 2 ] || fail "exec under record: ${found[*]}"
for profile in "${found[@]}"; do
	is_complete "${profile%.pb.gz}"
done

# --- fork: a file for each process ---

mkdir "$work/fork"
(cd "$work/fork" && preload freq=1000,heap=off "$samples/host" -t 0.$milliseconds --fork "$codec") \
	>"$work/out" 2>"$work/err" || fail "fork: status $?"
[ -s "$work/err" ] && fail "fork: $(cat "$work/err")"
mapfile -t found < <(cd "$work" && ls -A fork/*)
[ ${#found[@]} -eq 2 ] || fail "fork: ${found[*]}"
for profile in "${found[@]}"; do
	# The name when nothing is said: program and pid, in the working directory.
	[[ $profile =~ ^fork/host\.[0-9]+\.cpu\.pb\.gz$ ]] || fail "fork: named $profile"
	is_complete "${profile%.pb.gz}"
done

# The same name for both: neither is lost.
preload "freq=1000,heap=off,file=$work/same.pb.gz" "$samples/host" -t 0.$milliseconds --fork "$codec" \
	>"$work/out" 2>"$work/err" || fail "fork: status $?"
mapfile -t found < <(cd "$work" && ls same*)
[ ${#found[@]} -eq 2 ] || fail "fork, one name: ${found[*]}"
for profile in "${found[@]}"; do
	is_complete "${profile%.pb.gz}"
done
[ "$(spools_left)" -eq 0 ] || fail "fork: $(spools_left) spools left"
finish
