#!/bin/bash
# The allocator gives a block to another thread before free, or realloc, has come back: the new
# owner's stays recorded.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
cd "$work" || exit 99
source=$source_folder/tests/e2e/handover.c
if ! $cc -DALLOCATOR -shared -fPIC -O1 -fno-builtin -o allocator.so "$source" 2>err ||
	! $cc -g -O1 -fno-builtin -o handover "$source" -pthread -ldl 2>err; then
	skip "the compiler makes no library: $(cat err)"
fi
for interval in 1 200; do
	rm -f run.pb.gz
	LD_PRELOAD="$agent $work/allocator.so" PLUGPROF="cpu=off,heap=$interval,spool=$spool,file=$work/run.pb.gz" \
		wait_no_longer_than 60 ./handover >out.txt 2>&1
	printf 'free: taken\nrealloc: taken\n' | cmp - out.txt || fail "it prints $(cat out.txt)"
	pprof run -top -nodefraction=0 -nodecount=1000 -sample_index=inuse_objects
	# At an interval of 200 bytes a block of 4321 is always a sample, as far as anybody can tell.
	has '^ +2 .* take$'
	has_not '^ +[1-9][0-9]* .* begin$'
	pprof run -top -nodefraction=0 -nodecount=1000 -sample_index=alloc_objects
	has '^ +2 .* begin$'
done
finish
