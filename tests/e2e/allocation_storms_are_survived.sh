#!/bin/bash
# Threads, plugins, children and signals that allocate and free all at once, sampled as densely as it
# goes, CPU time too: nothing hangs or breaks, and at the end nothing is in use that was freed.
#
#   STORM_SECONDS  how long each lasts (default 1.5); given: on jemalloc and tcmalloc as well, and
#                  with glibc's checks of its heap ("make check-storm")
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper alloc_storm
need_samples
need_go
cd "$work" || exit 99
seconds=${STORM_SECONDS:-1.5}
no_fork=

# storm SETTINGS ALLOCATOR: MALLOC_CHECK_ is of the debugging allocator alone
storm() {
	local settings=$1 allocator=$2
	rm -f "$spool"/*
	# Who says that it records writes the profiles: here nobody does, but for the one below.
	MALLOC_CHECK_=3 MALLOC_PERTURB_=165 LD_PRELOAD="$agent $allocator" \
		PLUGPROF="$settings,recorder=$$,spool=$spool" \
		"$helpers/alloc_storm" "$seconds" "$samples/plugin_codec.so" ${no_fork:+no-fork} >out 2>err &
	echo $! >pid
	timeout $((${seconds%.*} + 100)) tail --pid=$! -f /dev/null ||
		{ fail "$settings $allocator: hangs" && kill -9 "$(cat pid)"; }
	wait "$(cat pid)"
	status=$?
	[ $status = 0 ] || fail "$settings $allocator: status $status: $(cat err)"
	[ "$(cat out)" = calm ] || fail "$settings $allocator: prints $(cat out)"
	[ ! -s err ] || fail "$settings $allocator: says $(cat err)"
	# Of the main process, which the others are children of.
	"$tool" snapshot -q -o end.pb.gz "$spool/$(cat pid).0.spool" || fail "$settings: no spool of its own"
	pprof end -top -nodefraction=0 -nodecount=100000 -sample_index=inuse_objects
	awk '/flat%/ { on = 1; next }
		on && $6 ~ /^(make|run|on_alarm)$/ && $4 + 0 { print; bad = 1 }
		END { exit bad }' "$work/out" || fail "$settings $allocator: in use at the end, though it was freed"
	pprof end -top -nodefraction=0 -nodecount=100000 -sample_index=alloc_objects
	has ' make( |$)'
}

for settings in heap=1,mmap heap=4k,freq=5000 heap=512k; do
	storm $settings ""
done
if [ -n "${STORM_SECONDS:-}" ]; then
	for allocator in libc_malloc_debug.so.0 libjemalloc.so.2 libtcmalloc_minimal.so.4; do
		# With that one of them preloaded, not even true runs where it is not there.
		[ -z "$(LD_PRELOAD=$allocator true 2>&1)" ] || { echo "not tried: no $allocator"; continue; }
		# The lock of glibc's checks is not let go in a child: it hangs without us, too.
		no_fork=
		[ $allocator != libc_malloc_debug.so.0 ] || no_fork=yes
		storm heap=1 $allocator
		storm heap=512k,freq=1000 $allocator
	done
fi
finish
