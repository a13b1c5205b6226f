#!/bin/bash
# Threads, plugins, children and signals that allocate and free all at once, sampled as densely as it
# goes, CPU time too: nothing hangs or breaks, and at the end nothing is in use that was freed.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper alloc_storm
need_samples
need_go
cd "$work" || exit 99

for settings in heap=1,mmap heap=4k,freq=5000 heap=512k; do
	rm -f "$spool"/*
	# Who says that it records writes the profiles: here nobody does, but for the one below.
	MALLOC_PERTURB_=165 LD_PRELOAD=$agent PLUGPROF="$settings,recorder=$$,spool=$spool" \
		"$helpers/alloc_storm" 1.5 "$samples/plugin_codec.so" >out 2>err &
	echo $! >pid
	timeout 100 tail --pid=$! -f /dev/null || { fail "$settings: hangs" && kill -9 "$(cat pid)"; }
	wait "$(cat pid)"
	status=$?
	[ $status = 0 ] || fail "$settings: status $status: $(cat err)"
	[ "$(cat out)" = calm ] || fail "$settings: prints $(cat out)"
	[ ! -s err ] || fail "$settings: says $(cat err)"
	# Of the main process, which the others are children of.
	"$tool" snapshot -q -o end.pb.gz "$spool/$(cat pid).0.spool" || fail "$settings: no spool of its own"
	pprof end -top -nodefraction=0 -nodecount=100000 -sample_index=inuse_objects
	awk '/flat%/ { on = 1; next }
		on && $6 ~ /^(make|run|on_alarm)$/ && $4 + 0 { print; bad = 1 }
		END { exit bad }' "$work/out" || fail "$settings: in use at the end, though it was freed"
	pprof end -top -nodefraction=0 -nodecount=100000 -sample_index=alloc_objects
	has ' make( |$)'
done
finish
