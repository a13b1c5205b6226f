#!/bin/bash
# In stock go tool pprof, a Go host with a Go plugin that calls C has its functions, with the whole
# chain from runtime.goexit, through the switch of stacks at cgo and above leaves without a frame.
. "${srcdir:-.}/tests/e2e/lib.sh"
need_go
[ -x "$samples/gohost" ] || skip "no gohost in $samples: it is built where go is"

worker='^runtime\.goexit > main\.main\..* > main\.worker > main\.pass'
plugin='plugprof\.example/samples/plugin'
encode="$worker > $plugin\\.Run > $plugin\\.goEncode"

# Go has no jitter, and its runtime (sysmon, asynchronous preemption) runs in step with the kernel's
# ticks, and so with the samples: where perf's own clock sees 24 %, ticks see up to 33 % with more
# goroutines than processors, and 18 to 30 % with one on a busy machine.  A third of each share is
# allowed for that.
record_well go -F 1000 -- "$samples/gohost" -n 1 -t 4 "$samples/goplugin.so"
stacks go
share_is go "$worker > main\\.goMix\$" 0.245 0.33
share_is go "$encode > $plugin\\.goKernel\$" 0.245 0.33
# Before Go 1.21 asmcgocall has no frame of its own, and its caller cgocall is not seen.
cgo="$encode > $plugin\\._Cfunc_c_kernel > (runtime\\.cgocall > )?runtime\\.asmcgocall"
share_is go "$cgo > _cgo_[0-9a-f]+_Cfunc_c_kernel > c_kernel\$" \
	0.49 0.33
has '^ +plugin: +goplugin\.so$'
has '^ +plugin: +\(host\)$'
pprof go -raw
has ' main\.goMix /.*/samples/go/host/main\.go:[1-9]'
has " $plugin\\.goKernel /.*/samples/go/plugin/plugin\\.go:[1-9]"
has ' c_kernel /.*/samples/go/plugin/kernel\.c:[1-9]'

# Four goroutines.  Go's threads that run no goroutine have roots of their own: the scheduler on
# g0 (mstart, mcall, systemstack, morestack), and C's where cgo or the loader made the thread.
record_well many -F 1000 -- "$samples/gohost" -n 4 -t 1 "$samples/goplugin.so"
for profile in go many; do
	stacks $profile
	runtime='goexit|mstart|mcall|systemstack|morestack|rt0_go|gogo|sigreturn.*'
	# What mcall calls has no chain of rbp yet at its first instruction.
	runtime="$runtime|asyncPreempt2|exitsyscall0|gosched_m|goexit0|goyield_m|park_m"
	every_stack_is_whole $profile "$any_root|_rt0_amd64.*|runtime\.($runtime)(\..*)?|__restore_rt"
	# No work without the chain above it.
	strays=$(grep -E '(goMix|goKernel|c_kernel)$' "$work/stacks" |
		grep -Evc $'\t'"(${worker#^}|${encode#^}) > .*(goMix|goKernel|c_kernel)\$")
	[ "$strays" -eq 0 ] || {
		fail "$profile: $strays stacks lost their callers"
		grep -E '(goMix|goKernel|c_kernel)$' "$work/stacks"
	}
done
finish
