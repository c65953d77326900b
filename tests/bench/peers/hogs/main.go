// SPDX-License-Identifier: MIT
//
// The Go peer of tests/bench/hogs: net/http on one processor (GOMAXPROCS=1).
package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

func main() {
	var lock sync.Mutex
	var rounds []*atomic.Int64
	http.HandleFunc("/fast", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Hello, World!") })
	http.HandleFunc("/busy/", func(w http.ResponseWriter, r *http.Request) {
		mine := new(atomic.Int64)
		lock.Lock()
		rounds = append(rounds, mine)
		lock.Unlock()
		for x := 0; ; {
			for i := 0; i < 1000; i++ {
				x += i
			}
			mine.Add(int64(1 + x&0))
		}
	})
	http.HandleFunc("/rounds", func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		for _, one := range rounds {
			fmt.Fprint(w, one.Load(), " ")
		}
	})
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
