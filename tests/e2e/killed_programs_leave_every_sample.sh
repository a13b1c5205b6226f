#!/bin/bash
# SIGKILL at 50 random moments: plugprof recover writes every sample that was committed.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper spool_counters
need_go

threads=2
recovered=0
in_flight=0
for number in $(seq 50); do
	rm -rf "${spool:?}"/* "$work/out.pb.gz"
	LD_PRELOAD=$agent PLUGPROF="spool=$spool,freq=1000" "$samples/host" -n $threads -t 60 \
		"$samples/plugin_codec.so" "$samples/plugin_thrower.so" >/dev/null 2>&1 &
	host=$!
	# From before main to a third of a second.
	sleep "0.$(printf %03d $((RANDOM % 300)))"
	kill -KILL $host
	wait $host 2>/dev/null
	set -- "$spool"/*.spool
	if [ ! -e "$1" ]; then
		echo "$number: killed before there was a spool"
		continue
	fi
	[ $# -eq 1 ] || fail "$number: more than one spool: $*"
	if ! line=$("$helpers/spool_counters" "$1"); then
		echo "$number: killed while the spool was made"
		continue
	fi
	read -r _ _ _ _ state _ ticks _ taken _ lost _ kept _ <<<"$line"
	"$tool" recover --spool="$spool" -o "$work/out.pb.gz" >"$work/recover.out" 2>"$work/recover.err" ||
		fail "$number: recover: status $?: $(cat "$work/recover.err")"
	[ -s "$work/recover.out" ] && fail "$number: recover prints: $(cat "$work/recover.out")"
	got=$(total out)
	[ "$got" -eq "$kept" ] ||
		fail "$number: $kept periods in the spool, $got in the profile: $line"
	# One sample a thread may have been counted and not yet committed.  A sample stands for as many
	# periods as fit between two looks of the kernel at the clock: 4 at 250 Hz, 10 at 100 Hz, twice
	# that when a look was late.  (thrower's own threads come and go: as many again.)
	missing=$((ticks - lost - kept))
	if [ "$missing" -lt 0 ] || [ "$missing" -gt $((2 * threads * 20)) ]; then
		fail "$number: $missing periods were counted and are not there: $line"
	fi
	[ "$missing" -eq 0 ] || in_flight=$((in_flight + 1))
	[ "$kept" -eq 0 ] || recovered=$((recovered + 1))
	[ "$kept" -gt 0 ] && [ "$state" -ne 1 ] && fail "$number: state $state: $line"
	[ "$kept" -gt 0 ] && [ "$taken" -eq 0 ] && fail "$number: no samples: $line"
	set -- "$spool"/*.spool
	[ -e "$1" ] && fail "$number: recover leaves $1"
done
echo "$recovered profiles recovered, $in_flight times with a sample in flight"
# Of 50 moments between 0 and 0.3 s nearly all are after the first tick.  Fewer than 20: less than
# 1 in 10,000 even if the first 0.1 s are lost to a busy machine.
[ "$recovered" -ge 20 ] || fail "only $recovered of 50 had samples"
# A handler runs for some microseconds in 4 ms: several runs with one in flight are not chance.
[ "$in_flight" -le 5 ] || fail "$in_flight of 50 with a sample in flight"

# A profile of the last one has its names.
if [ -s "$work/out.pb.gz" ]; then
	stacks out
	every_stack_is_whole out "$any_root"
fi
finish
