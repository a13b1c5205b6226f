// A Go library for hosts in C.
package main

import "C"

import (
	"context"
	"runtime/pprof"
)

const workSteps = 50000

//go:noinline
func sharedLeaf(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

// SharedWork has a label while it works.
//
//export SharedWork
func SharedWork(rounds C.ulong) C.ulong {
	var sum uint64
	pprof.Do(context.Background(), pprof.Labels("library", "shared"), func(context.Context) {
		for i := uint64(0); i < uint64(rounds); i++ {
			sum += sharedLeaf(i)
		}
	})
	return C.ulong(sum)
}

func main() {}
