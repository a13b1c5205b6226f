// A Go library for hosts in C.
package main

import "C"

const workSteps = 50000

//go:noinline
func sharedLeaf(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//export SharedWork
func SharedWork(rounds C.ulong) C.ulong {
	var sum uint64
	for i := uint64(0); i < uint64(rounds); i++ {
		sum += sharedLeaf(i)
	}
	return C.ulong(sum)
}

func main() {}
