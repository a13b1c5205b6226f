// Labels shows how a Go program labels its work for plugprof, in two ways: two units of work for tenant
// blue, under a label of the goroutine; one for tenant red, under a label of the thread; and one
// without a label, in turn.
package main

// #cgo CFLAGS: -I${SRCDIR}/../../../src/agent
// #include <stdlib.h>
// #include <plugprof.h>
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"unsafe"
)

const workUnitSteps = 100000 // as in ../../work.h

// labeled runs f under a label as Go programs do: it is the goroutine's, whatever thread runs it, and
// whatever C it calls.
func labeled(key, value string, f func()) {
	pprof.Do(context.Background(), pprof.Labels(key, value), func(context.Context) { f() })
}

// labeledThread runs f under a label as C does, which knows of threads alone: the goroutine stays on its
// thread.
func labeledThread(key, value string, f func()) {
	k, v := C.CString(key), C.CString(value)
	defer C.free(unsafe.Pointer(k))
	defer C.free(unsafe.Pointer(v))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.plugprof_set_label(k, v)
	defer C.plugprof_set_label(k, nil)
	f()
}

//go:noinline
func work(value uint64) uint64 {
	for i := uint64(0); i < workUnitSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

func main() {
	rounds := 1000
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	sums := make([]uint64, 2)
	var group sync.WaitGroup
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for round := uint64(0); round < uint64(rounds); round++ {
				labeledThread("tenant", "red", func() { sums[i] += work(round) })
				labeled("tenant", "blue", func() { sums[i] += work(work(round)) })
				sums[i] += work(round)
			}
		}(i)
	}
	group.Wait()
	fmt.Printf("checksum %016x\n", sums[0]+sums[1])
}
