#!/bin/bash
# A program that handles, blocks, waits for, ignores and resets all signals, and sends itself each
# real-time one, has exactly what it has without us, and is sampled meanwhile.  Among them is
# the signal that the agent uses (the highest but one that is free).
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper signals

# Periods at 1000 Hz of a quarter of a second.  A program that is killed loses what the kernel had
# not told it yet: a scheduler tick, or more when the machine itself was not running.  While
# somebody's signal with our number waits for a thread that blocks it, that thread has no ticks:
# of these programs only the first 100 ms are sampled for sure.
is_sampled() {
	periods=$("$tool" inspect -v "$work/$1.pb.gz" | sed -n 's/.*CPU second, \([0-9]*\) ticks, .*/\1/p')
	if [ "${periods:-0}" -lt "$2" ]; then
		fail "$1: ${periods:-no} periods of about 250, at least $2 wanted"
	fi
}

for how in handle info reset ignore wait timedwait signalfd thread default; do
	wait_no_longer_than 30 "$helpers/signals" $how >"$work/plain" 2>&1
	plain=$?
	[ $plain -eq 0 ] || fail "$how: status $plain without us"
	preload "freq=1000,file=$work/$how.pb.gz" "$helpers/signals" $how >"$work/agent" 2>&1
	status=$?
	if [ $status -ne $plain ]; then
		fail "$how: status $status, without us $plain"
		"$tool" recover -q --spool="$spool"
	fi
	cmp -s "$work/plain" "$work/agent" || {
		fail "$how: the program sees other signals (< without us, > with)"
		diff "$work/plain" "$work/agent"
	}
	case $how in
	wait | timedwait | signalfd | thread) enough=80 ;;
	*) enough=230 ;;
	esac
	[ $status -ne $plain ] || is_sampled $how $enough
done

# Any signal that is not handled ends the program, by that signal.
for number in 1 9 15 34 $(seq 58 64); do
	wait_no_longer_than 30 "$helpers/signals" die "$number" >/dev/null 2>&1
	plain=$?
	rm -f "$spool"/*
	preload "freq=1000,file=$work/die$number.pb.gz" "$helpers/signals" die "$number" >"$work/out" 2>&1
	status=$?
	[ $status -eq $plain ] || fail "signal $number: status $status, without us $plain"
	"$tool" recover -q --spool="$spool" 2>"$work/err" || fail "recover: $(cat "$work/err")"
	is_sampled "die$number" 200
done
finish
