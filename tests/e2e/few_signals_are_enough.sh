#!/bin/bash
# Where the limit of pending signals leaves no timers (ulimit -i), the program runs unharmed, and
# how many threads share the process's timer is counted and said.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_samples
need_helper spool_counters
codec=$samples/plugin_codec.so
"$samples/host" -n 4 -t 0.2 "$codec" >"$work/plain" || fail "host: status $?"

# The limit counts all signals and timers of the user, in all processes: 0 refuses all; a small one may
# do so as well, where other processes have as many.
for limit in 0 3; do
	(
		ulimit -i $limit || exit 77
		LD_PRELOAD=$agent PLUGPROF="spool=$spool,freq=1000,file=$work/limit$limit.pb.gz" \
			"$samples/host" -n 4 -t 0.2 "$codec"
	) >"$work/out" 2>"$work/err"
	status=$?
	[ $status -eq 77 ] && skip "no limit of pending signals can be set"
	[ $status -eq 0 ] || fail "limit $limit: status $status"
	cmp "$work/plain" "$work/out" || fail "limit $limit: other output"
	[ -s "$work/err" ] && fail "limit $limit: says $(cat "$work/err")"
	if [ -s "$work/limit$limit.pb.gz" ]; then
		"$tool" inspect -v "$work/limit$limit.pb.gz" >"$work/out" || fail "inspect: status $?"
		grep -Eq '^[0-9]+ threads got no timer of their own \(ulimit -i\)' "$work/out" ||
			fail "limit $limit: the profile does not say that timers were refused"
	fi
	[ -z "$(ls -A "$spool")" ] || fail "limit $limit: left in the spool folder"

	(
		ulimit -i $limit
		"$tool" record --spool="$spool" -o "$work/record$limit.pb.gz" -F 1000 --cpu -- \
			"$samples/host" -n 4 -t 0.2 "$codec" >"$work/record$limit.out" 2>"$work/record$limit.err"
	)
	status=$?
	cmp "$work/plain" "$work/record$limit.out" || fail "limit $limit, record: other output"
	[ "$(wc -l <"$work/record$limit.err")" -le 6 ] || fail "limit $limit: more than six lines"
	cat "$work/record$limit.err"
	[ $status -eq 0 ] || fail "limit $limit, record: status $status"
	# Without any timer there is no sample; then it is told why.
	if grep -q '^plugprof: 0 samples' "$work/record$limit.err"; then
		grep -q 'ulimit -i' "$work/record$limit.err" || fail "limit $limit: does not say why"
	fi
done

# A limit that is reached in the middle: the first threads have timers, the others share one.  Where the
# user has N of them already is not known, so look for a limit that refuses some.
for limit in 2 4 6 8 12 16 24 32 64 128 256; do
	rm -f "$spool"/*
	(
		ulimit -i $limit
		LD_PRELOAD=$agent PLUGPROF="spool=$spool,freq=1000,file=$work/x.pb.gz" \
			"$samples/host" -n 8 -t 0.2 --exit=kill "$codec"
		true
	) >/dev/null 2>&1
	set -- "$spool"/*.spool
	[ -e "$1" ] || continue
	read -r _ _ _ _ _ _ _ _ _ _ _ _ kept _ threads _ refused _ fallback _ \
		< <("$helpers/spool_counters" "$1")
	[ "$refused" -gt 0 ] || break
	[ "$threads" -gt 0 ] || continue
	echo "limit $limit: $threads threads with timers, $refused without, $fallback of $kept periods by the process's"
	[ "$fallback" -gt 0 ] || fail "limit $limit: $refused threads without a timer are not sampled"
	[ "$refused" -le 9 ] || fail "limit $limit: $refused of 9 threads without a timer"
	# Eight threads of 200 ms.  The process's timer counts the time of all threads, and meets those
	# without a timer of their own as often as they run: no more than all of it is counted by it.
	[ "$fallback" -le 1660 ] || fail "limit $limit: $fallback periods by the process's timer in 1.6 s"
	[ $((kept - fallback)) -le 1660 ] || fail "limit $limit: $((kept - fallback)) periods in 1.6 s"
	"$tool" recover --spool="$spool" -q -o "$work/some.pb.gz" || fail "recover: status $?"
	"$tool" inspect -v "$work/some.pb.gz" | grep -q "^$refused threads got no timer" ||
		fail "limit $limit: not said in the profile"
	break
done
finish
