// The plugin of the Go hosts: Go, C without frame pointers, C++, and each calling the others.
//
//	Run > work > _Cfunc_c_work > ... > c_work > c_middle > c_leaf
//	           > _Cfunc_cxx_work > ... > cxx_work > shapes::Circle::area
//	           > _Cfunc_c_calls_go > ... > c_calls_go > c_outer > goCallback > ... >
//	             backInGo > _Cfunc_c_inner > ... > c_inner > c_leaf
//	           > _Cfunc_cxx_catches > ... > goThrowing, and an exception after it
//	           > goLeaf
package main

// #cgo CFLAGS: -O2 -g -fomit-frame-pointer
// #cgo CXXFLAGS: -O2 -g -std=gnu++14
// #include "native.h"
import "C"

import "strings"

const workSteps = 50000

//go:noinline
func goLeaf(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//export goCallback
func goCallback(value C.uint64_t) C.uint64_t {
	return C.uint64_t(backInGo(uint64(value)))
}

//go:noinline
func backInGo(value uint64) uint64 {
	return goLeaf(value) + uint64(C.c_inner(C.uint64_t(value)))
}

//export goThrowing
func goThrowing(value C.uint64_t) C.uint64_t {
	return C.uint64_t(goLeaf(uint64(value)))
}

// grow uses a good piece of stack, so that the goroutine's has to grow and move.
//
//go:noinline
func grow(depth int, value uint64) uint64 {
	var block [128]uint64
	if depth == 0 {
		return uint64(C.c_work(C.uint64_t(value)))
	}
	block[depth%128] = value
	return grow(depth-1, value+1) + block[(depth+1)%128]
}

//go:noinline
func garbage(value uint64) uint64 {
	var pieces []string
	for i := 0; i < 64; i++ {
		pieces = append(pieces, strings.Repeat("x", int(value%64)+i))
	}
	return uint64(len(strings.Join(pieces, ",")))
}

//go:noinline
func work(value uint64) uint64 {
	sum := goLeaf(value)
	sum += uint64(C.c_work(C.uint64_t(value)))
	sum += uint64(C.cxx_work(C.uint64_t(value)))
	sum += uint64(C.c_calls_go(C.uint64_t(value)))
	sum += uint64(C.cxx_catches(C.uint64_t(value)))
	sum += grow(int(value%64), value)
	return sum + garbage(value)
}

// Run does a number of rounds of work and returns a checksum of them.
func Run(rounds uint64) uint64 {
	var sum uint64
	for i := uint64(0); i < rounds; i++ {
		sum += work(i)
	}
	return sum
}

// Allocate makes, and keeps, blocks of C.
func Allocate(count int) {
	for i := 0; i < count; i++ {
		C.c_allocate(65536)
	}
}

func main() {}
