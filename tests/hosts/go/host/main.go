// The Go host: it opens the plugin, runs it in goroutines and prints a checksum that
// depends on its arguments alone.
package main

// static int nothing(void) { return 0; }
import "C"

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"plugin"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func die(why interface{}) {
	fmt.Fprintln(os.Stderr, "gohost:", why)
	os.Exit(2)
}

//go:noinline
func worker(run func(uint64) uint64, rounds uint64, end time.Time) uint64 {
	checksum := run(rounds)
	for time.Now().Before(end) {
		if run(rounds) != checksum {
			die("checksum differs between passes")
		}
	}
	return checksum
}

// collect keeps the collector going, and with it the stacks of all goroutines moving.
func collect(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			runtime.GC()
		}
	}
}

// churn starts and ends threads: a goroutine that ends while it is locked to one takes it along.
func churn(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			go func() {
				runtime.LockOSThread()
				C.nothing()
			}()
			time.Sleep(time.Millisecond)
		}
	}
}

// signals are sent to the program itself, and taken by Go's handler.
func signals(done chan struct{}) {
	got := make(chan os.Signal, 16)
	signal.Notify(got, syscall.SIGUSR1, syscall.SIGPROF)
	for {
		select {
		case <-done:
			signal.Stop(got)
			return
		case <-time.After(time.Millisecond):
			syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		}
		select {
		case <-got:
		default:
		}
	}
}

// fetch has net/http/pprof write the CPU profile of one second to file, as an operator does.
func fetch(file io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, nil)
	got, err := http.Get("http://" + listener.Addr().String() + "/debug/pprof/profile?seconds=1")
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("/debug/pprof/profile: %s", got.Status)
	}
	_, err = io.Copy(file, got.Body)
	return err
}

func main() {
	seconds := flag.Float64("t", 0, "repeat the work for `SECONDS`")
	goroutines := flag.Int("n", 4, "`COUNT` of goroutines")
	rounds := flag.Uint64("r", 10, "`ROUNDS` in one pass")
	profile := flag.String("cpuprofile", "", "write Go's own CPU profile to `FILE`")
	fetched := flag.String("fetch", "", "write to `FILE` what net/http/pprof serves as CPU profile")
	allocate := flag.Int("a", 0, "`COUNT` of 64 KiB blocks that C is to allocate and keep")
	storm := flag.Bool("storm", false, "collect, start threads and send signals all the time")
	labels := flag.Bool("labels", false, "label each goroutine with runtime/pprof")
	flag.Parse()
	if flag.NArg() != 1 {
		die("usage: gohost [OPTION...] goplugin.so")
	}
	opened, err := plugin.Open(flag.Arg(0))
	if err != nil {
		die(err)
	}
	symbol, err := opened.Lookup("Run")
	if err != nil {
		die(err)
	}
	run := symbol.(func(uint64) uint64)
	if *profile != "" {
		file, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			die(err)
		}
	}
	served := make(chan error, 1)
	if *fetched != "" {
		go func() {
			file, err := os.Create(*fetched)
			if err == nil {
				err = fetch(file)
			}
			served <- err
		}()
	}
	done := make(chan struct{})
	if *storm {
		go collect(done)
		go churn(done)
		go signals(done)
	}
	if *allocate > 0 {
		symbol, err := opened.Lookup("Allocate")
		if err != nil {
			die(err)
		}
		symbol.(func(int))(*allocate)
	}

	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	var group sync.WaitGroup
	sums := make([]uint64, *goroutines)
	for i := range sums {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			work := func(context.Context) { sums[i] = worker(run, *rounds, end) }
			if *labels {
				pprof.Do(context.Background(), pprof.Labels("worker",
					strconv.Itoa(i), "tenant", "blue"), work)
			} else {
				work(context.Background())
			}
		}(i)
	}
	group.Wait()
	close(done)
	pprof.StopCPUProfile()
	if *fetched != "" {
		if err := <-served; err != nil {
			die(err)
		}
	}

	var sum uint64
	for _, s := range sums {
		sum += s
	}
	fmt.Printf("checksum %016x\n", sum)
}
