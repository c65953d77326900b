// SPDX-License-Identifier: MIT

// What tests/bench/tasks.lua measures, with goroutines on one core: lines
// "name<TAB>ns".
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

const n = 300000
const tasks = 64

func measure(name string, fn func(int)) {
	fn(n / 10)
	best := time.Duration(1 << 62)
	for i := 0; i < 3; i++ {
		runtime.GC()
		before := time.Now()
		fn(n)
		if took := time.Since(before); took < best {
			best = took
		}
	}
	fmt.Printf("%s\t%d\n", name, int(best)/n)
}

func yield(n int) {
	var wg sync.WaitGroup
	for i := 0; i < tasks; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < n/tasks; i++ {
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
}

func spawn(n int) {
	for i := 0; i < n; i++ {
		done := make(chan int)
		go func() { done <- 1 }()
		<-done
	}
}

func pingPong(n int) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v + 1
		}
	}()
	for i := 0; i < n; i++ {
		ping <- i
		<-pong
	}
	close(ping)
}

func main() {
	runtime.GOMAXPROCS(1)
	measure("await and wake, yield", yield)
	measure("spawn and join", spawn)
	measure("channel ping-pong", pingPong)
}
