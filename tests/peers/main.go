// SPDX-License-Identifier: MIT

// The routes of servers.lua in Go's net/http. Prints: the plain port, the TLS port.
//
//	go-peer KEY CERT FOLDER
//
// FOLDER holds the bodies that are coded already: squeezed.gz, squeezed.zz, squeezed.br.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

type route func(w http.ResponseWriter, r *http.Request, arg string)

func anything(w http.ResponseWriter, r *http.Request, _ string) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s\nhost: %s\n", r.Method, r.RequestURI, r.Host)
	for _, name := range []string{"x-probe", "user-agent", "accept-encoding", "via", "authorization", "proxy-authorization"} {
		fmt.Fprintf(w, "%s: %s\n", name, r.Header.Get(name))
	}
}

func status(w http.ResponseWriter, _ *http.Request, arg string) {
	code, _ := strconv.Atoi(arg)
	w.WriteHeader(code)
}

func redirect(w http.ResponseWriter, r *http.Request, arg string) {
	code, _ := strconv.Atoi(arg)
	http.Redirect(w, r, "/anything", code)
}

func redirectTo(w http.ResponseWriter, r *http.Request, _ string) {
	http.Redirect(w, r, r.FormValue("url"), http.StatusFound)
}

func cookies(w http.ResponseWriter, r *http.Request, arg string) {
	if arg != "set" {
		io.WriteString(w, r.Header.Get("Cookie"))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
	http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/", HttpOnly: true})
	http.Redirect(w, r, "/cookies", http.StatusFound)
}

func coded(coding, file string) route {
	body, err := os.ReadFile(path.Join(os.Args[3], file))
	if err != nil {
		log.Fatal(err)
	}
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Encoding", coding)
		w.Write(body)
	}
}

func chunked(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Trailer", "X-Late")
	for _, piece := range []string{"one ", "two ", "three"} {
		io.WriteString(w, piece)
		w.(http.Flusher).Flush()
	}
	w.Header().Set("X-Late", "1")
}

func drip(w http.ResponseWriter, _ *http.Request, _ string) {
	for i := 0; i < 10; i++ {
		io.WriteString(w, "drop by 10")
		w.(http.Flusher).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

func someBytes(w http.ResponseWriter, r *http.Request, arg string) {
	n, _ := strconv.Atoi(arg)
	all := make([]byte, n)
	for i := range all {
		all[i] = byte(i)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Unix(1, 0), bytes.NewReader(all))
}

func guarded(wanted, challenge string) route {
	return func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.Header.Get("Authorization") != wanted {
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "out", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "in")
	}
}

var store sync.Map

func keep(w http.ResponseWriter, r *http.Request, name string) {
	stored, found := store.Load(name)
	switch {
	case r.Method == "PUT":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		store.Store(name, body)
		w.WriteHeader(http.StatusCreated)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == "DELETE":
		store.Delete(name)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Write(stored.([]byte))
	}
}

func refuse(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	io.WriteString(w, "too much")
}

func hang(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }

func lastWord(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Connection", "close")
	io.WriteString(w, "bye")
}

// byHand takes the connection from net/http, says something on it, and ends it.
func byHand(said string, reset bool) route {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, said)
		if plain, ok := conn.(*net.TCPConn); ok && reset {
			plain.SetLinger(0)
		}
		conn.Close()
	}
}

func cut(w http.ResponseWriter, r *http.Request, arg string) {
	if arg == "chunked" {
		byHand("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false)(w, r, arg)
		return
	}
	byHand("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", false)(w, r, arg)
}

func hints(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Link", "</a>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	io.WriteString(w, "hinted")
}

func main() {
	routes := map[string]route{
		"anything": anything, "status": status, "redirect": redirect, "redirect-to": redirectTo, "cookies": cookies,
		"gzip": coded("gzip", "squeezed.gz"), "deflate": coded("deflate", "squeezed.zz"), "br": coded("br", "squeezed.br"),
		"chunked": chunked, "drip": drip, "bytes": someBytes, "store": keep, "refuse": refuse, "hang": hang, "close": lastWord,
		"basic": guarded("Basic dXM6cGE=", `Basic realm="peers"`), "bearer": guarded("Bearer token", "Bearer"),
		"silence": byHand("", false), "cut": cut, "hints": hints,
		"reset": byHand("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", true),
		"leave": byHand("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye", false), // looks kept, and is not
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)
		found := routes[parts[0]]
		if found == nil {
			http.NotFound(w, r)
			return
		}
		found(w, r, strings.Join(parts[1:], ""))
	})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plain.Addr().(*net.TCPAddr).Port, secure.Addr().(*net.TCPAddr).Port)
	log.SetOutput(io.Discard)
	go http.ServeTLS(secure, handler, os.Args[2], os.Args[1])
	http.Serve(plain, handler)
}
