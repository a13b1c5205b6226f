// Gohost is a plugin host in Go: it opens a Go plugin, runs it in several
// goroutines and prints a checksum that depends on its arguments alone.
//
//	main.worker > main.pass > (plugin).Run > ...
//	                        > main.goMix
package main

import (
	"flag"
	"fmt"
	"os"
	"plugin"
	"sync"
	"syscall"
)

const workUnitSteps = 100000 // as in ../../work.h

// goMix does one unit of work a round.
//
//go:noinline
func goMix(value, rounds uint64) uint64 {
	for i := uint64(0); i < rounds; i++ {
		value += i
		for j := uint64(0); j < workUnitSteps; j++ {
			value = (value ^ j) * 0x100000001b3
		}
	}
	return value
}

//go:noinline
func pass(run func(uint64) uint64, rounds uint64) uint64 {
	value := run(rounds)
	return value + goMix(value, rounds)
}

// cpuSeconds is the CPU time of the process: a goroutine has no clock.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		die(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// worker makes one pass, and more until the process has used end seconds.
//
//go:noinline
func worker(run func(uint64) uint64, rounds uint64, end float64) uint64 {
	checksum := pass(run, rounds)
	for end > 0 && cpuSeconds() < end {
		if pass(run, rounds) != checksum {
			die("checksum differs between passes")
		}
	}
	return checksum
}

func die(why interface{}) {
	fmt.Fprintln(os.Stderr, "gohost:", why)
	os.Exit(2)
}

func open(path string) func(uint64) uint64 {
	opened, err := plugin.Open(path)
	if err != nil {
		die(err)
	}
	run, err := opened.Lookup("Run")
	if err != nil {
		die(err)
	}
	return run.(func(uint64) uint64)
}

func main() {
	seconds := flag.Float64("t", 0, "repeat the work for `SECONDS` of CPU time per goroutine")
	goroutines := flag.Int("n", 4, "`COUNT` of goroutines")
	rounds := flag.Uint64("r", 10, "`ROUNDS` in one pass")
	flag.Parse()
	if flag.NArg() != 1 {
		die("usage: gohost [-t SECONDS] [-n COUNT] [-r ROUNDS] goplugin.so")
	}
	run := open(flag.Arg(0))
	end := *seconds * float64(*goroutines)

	var group sync.WaitGroup
	sums := make([]uint64, *goroutines)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			sums[i] = worker(run, *rounds, end)
		}(i)
	}
	group.Wait()

	var sum uint64
	for _, s := range sums {
		sum += s
	}
	fmt.Printf("checksum %016x\n", sum)
}
