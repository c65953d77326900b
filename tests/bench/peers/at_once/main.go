// SPDX-License-Identifier: MIT

// Asks a URL so many times, some requests at a time, and prints the microseconds of CPU time that each took. See tests/bench/at_once.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	url := os.Args[1]
	atOnce, _ := strconv.Atoi(os.Args[2])
	total, _ := strconv.Atoi(os.Args[3])
	// as many connections as the client of greenlua has by default, and as many kept
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1024, MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}
	run := func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var group sync.WaitGroup
		for i := 0; i < atOnce; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for left.Add(-1) >= 0 {
					resp, err := client.Get(url)
					if err != nil {
						panic(err)
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || string(body) != "Hello, World!" {
						panic(fmt.Sprint("wrong answer: ", err))
					}
				}
			}()
		}
		group.Wait()
	}
	run(atOnce + 1000) // connections are made
	before := cpu()
	run(total)
	fmt.Printf("%.2f\n", float64((cpu() - before).Nanoseconds())/float64(total)/1000)
}
