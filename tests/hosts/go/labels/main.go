// Goroutines with labels of runtime/pprof, each of which runs functions of its own, in Go, in C, and in Go
// that C has called; two of them and one without labels take turns.
//
//	labels [OPTION...] [goplugin.so]
package main

// #include "native.h"
import "C"

import (
	"context"
	"flag"
	"fmt"
	"os"
	"plugin"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

const workSteps = 50000

//go:noinline
func goRed(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//go:noinline
func goBlue(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//go:noinline
func goPlain(value uint64) uint64 {
	for i := uint64(0); i < workSteps; i++ {
		value = (value ^ i) * 0x100000001b3
	}
	return value
}

//export goRedCallback
func goRedCallback(value C.uint64_t) C.uint64_t {
	return C.uint64_t(goRed(uint64(value)))
}

// red is one request: its labels are new ones each time.
func red(i uint64) (sum uint64) {
	labels := pprof.Labels("tenant", "red", "span", fmt.Sprintf("%016x", i%5))
	pprof.Do(context.Background(), labels, func(context.Context) {
		sum = goRed(i)
		runtime.Gosched()
		sum += uint64(C.c_red(C.uint64_t(i)))
		sum += uint64(C.c_red_calls_go(C.uint64_t(i)))
		C.c_red_keep(C.uint64_t(i))
	})
	return sum
}

// blue labels itself within labels: the inner ones count, until they end.
func blue(i uint64) (sum uint64) {
	pprof.Do(context.Background(), pprof.Labels("tenant", "green", "kind", "batch"), func(ctx context.Context) {
		pprof.Do(ctx, pprof.Labels("tenant", "blue"), func(context.Context) {
			sum = goBlue(i)
			runtime.Gosched()
			sum += uint64(C.c_blue(C.uint64_t(i)))
		})
	})
	return sum
}

// many has more labels than a sample takes; most of them in a map of several buckets before Go 1.24.
func many(run func(uint64) uint64) uint64 {
	var sum uint64
	pairs := []string{}
	for i := 0; i < 24; i++ {
		pairs = append(pairs, fmt.Sprintf("key%02d", i), strconv.Itoa(i))
	}
	pprof.Do(context.Background(), pprof.Labels(pairs[:24]...), func(ctx context.Context) {
		sum = run(10)
		pprof.Do(ctx, pprof.Labels(pairs[24:]...), func(context.Context) {
			for i := uint64(0); i < 40; i++ {
				sum += goPlain(i)
			}
		})
	})
	return sum
}

// storm has labels come and go under a collector that never rests.
func storm(done chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		pprof.Do(context.Background(), pprof.Labels("round", strconv.Itoa(i%100), "garbage",
			string(make([]byte, i%300))), func(ctx context.Context) {
			pprof.SetGoroutineLabels(ctx)
			C.c_release(C.c_take(C.uint64_t(i)))
			runtime.Gosched()
		})
		if i%64 == 0 {
			runtime.GC()
			time.Sleep(time.Microsecond)
		}
	}
}

func die(why interface{}) {
	fmt.Fprintln(os.Stderr, "labels:", why)
	os.Exit(2)
}

// open finds the plugin's work; without a plugin there is none.
func open(path string) func(uint64) uint64 {
	if path == "" {
		return nil
	}
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

func pass(units uint64, run func(uint64) uint64) uint64 {
	var group sync.WaitGroup
	sums := make([]uint64, 3)
	for i, work := range []func(uint64) uint64{red, blue, goPlain} {
		group.Add(1)
		go func(i int, work func(uint64) uint64) {
			defer group.Done()
			for unit := uint64(0); unit < units; unit++ {
				sums[i] += work(unit)
				runtime.Gosched()
			}
		}(i, work)
	}
	group.Wait()
	sum := sums[0] + sums[1] + sums[2]
	for unit := uint64(0); run != nil && unit < units; unit += 4 {
		sum += many(run)
	}
	return sum
}

func main() {
	units := flag.Uint64("n", 100, "`UNITS` of work in one pass")
	seconds := flag.Float64("t", 0, "repeat the pass for `SECONDS`")
	stormy := flag.Bool("storm", false, "change labels in 16 goroutines, and collect, all the while")
	profile := flag.String("cpuprofile", "", "write Go's own CPU profile to `FILE`")
	flag.Parse()
	run := open(flag.Arg(0))
	if *profile != "" {
		file, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			die(err)
		}
		defer pprof.StopCPUProfile()
	}
	done := make(chan struct{})
	if *stormy {
		for i := 0; i < 16; i++ {
			go storm(done)
		}
	}
	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	checksum := pass(*units, run)
	for time.Now().Before(end) {
		if pass(*units, run) != checksum {
			die("checksum differs between passes")
		}
	}
	close(done)
	fmt.Printf("checksum %016x\n", checksum)
}
