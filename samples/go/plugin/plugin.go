// Goplugin is a Go plugin with work in Go and in C.  Units of work a round:
//
//	Run > goEncode > goKernel                                     1
//	Run > goEncode > _Cfunc_c_kernel > runtime.cgocall >
//	      runtime.asmcgocall > _cgo_..._Cfunc_c_kernel > c_kernel  2
package main

// #cgo CFLAGS: -O2 -g
// #include "kernel.h"
import "C"

const workUnitSteps = 100000 // as in ../../work.h

//go:noinline
func goKernel(value uint64) uint64 {
	for i := uint64(0); i < workUnitSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//go:noinline
func goEncode(value uint64) uint64 {
	return goKernel(value) + uint64(C.c_kernel(C.uint64_t(value)))
}

// Run does a number of rounds of work and returns a checksum of them.
func Run(rounds uint64) uint64 {
	var sum uint64
	for i := uint64(0); i < rounds; i++ {
		sum += goEncode(i)
	}
	return sum
}

func main() {}
