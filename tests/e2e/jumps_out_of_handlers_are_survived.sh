#!/bin/bash
# A program that jumps out of its handlers (siglongjmp) while an allocation is sampled is sampled as before
# afterwards; and a handler on a stack of its own, which interrupts a sample, leaves it whole.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_helper alloc_jumps
need_go
cd "$work" || exit 99

for way in jumps aside; do
	preload "cpu=off,heap=1,file=$work/$way.pb.gz" "$helpers/alloc_jumps" libplugprof.so ${way#jumps} >out 2>&1 ||
		fail "$way: status $?: $(cat out)"
	pprof $way -top -nodefraction=0 -sample_index=inuse_space -unit=B
	got=$(awk '$6 == "after_jumps" { print $4 + 0 }' out)
	[ "${got:-0}" -eq 100000 ] || fail "$way: ${got:-no} bytes of 100000: $(cat out)"
	grep -q 'truncated' out && fail "$way: stacks are cut: $(cat out)"
done
finish
