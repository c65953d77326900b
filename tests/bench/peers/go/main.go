// SPDX-License-Identifier: MIT

// The Go peer: stock net/http held to one core, the same bodies as the other
// servers.
//
//	UPSTREAM=http://127.0.0.1:PORT/plaintext go-peer PORT
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"time"
)

func hello(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "Hello, World!")
}

func helloAfter(wait time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(wait)
		hello(w)
	}
}

func toJSON(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(map[string]string{"message": "Hello, World!"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

// proxyTo keeps as many idle connections as there can be requests under way;
// the default of two per host would open a new one for most requests.
func proxyTo(url string) http.HandlerFunc {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := client.Get(url)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	http.HandleFunc("/plaintext", func(w http.ResponseWriter, r *http.Request) { hello(w) })
	http.HandleFunc("/json", toJSON)
	http.HandleFunc("/sleep", helloAfter(10*time.Millisecond))
	http.HandleFunc("/hold", helloAfter(30*time.Second))
	http.HandleFunc("/proxy", proxyTo(os.Getenv("UPSTREAM")))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
