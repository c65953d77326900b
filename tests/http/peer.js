// SPDX-License-Identifier: MIT
// The servers the client specs talk to: two plain origins and, given a key and a certificate, one with TLS.
// Prints: pid, first port, second port, TLS port (or 0).
const http = require("http"), https = require("https"), zlib = require("zlib"), fs = require("fs");

let connections = 0, sent = 0, hanging = 0, aborted = 0, waiters = [];
const held = [];

function settle() {
  waiters = waiters.filter(([test, res]) => {
    if (!test()) return true;
    res.end(JSON.stringify({ aborted, hanging }));
    return false;
  });
}
function hold(res) {
  hanging++;
  res.on("close", () => { hanging--; aborted++; settle(); });
  settle();
}

const routes = {
  echo(req, res) {
    const chunks = [];
    req.on("data", (c) => chunks.push(c));
    req.on("end", () => res.end(JSON.stringify({
      method: req.method, url: req.url, headers: req.headers, raw: req.rawHeaders, body: Buffer.concat(chunks).toString("latin1"),
    })));
  },
  status(req, res, url, n) { res.statusCode = Number(n); res.end(Number(n) === 204 ? undefined : "status " + n); },
  to(req, res, url) { res.writeHead(Number(url.searchParams.get("code") || 302), { location: url.searchParams.get("url") }); res.end("moved"); },
  hops(req, res, url, n) {
    if (Number(n) === 0) return res.end("arrived");
    res.writeHead(302, { location: "/hops/" + (Number(n) - 1) });
    res.end();
  },
  gzip(req, res) { res.writeHead(200, { "content-encoding": "gzip" }); res.end(zlib.gzipSync("squeezed".repeat(1000))); },
  bomb(req, res) { res.writeHead(200, { "content-encoding": "gzip" }); res.end(zlib.gzipSync(Buffer.alloc(100 << 20))); },
  notgzip(req, res) { res.writeHead(200, { "content-encoding": "gzip" }); res.end("this is not gzip"); },
  chunked(req, res) { res.writeHead(200, { trailer: "x-late" }); res.write("one "); res.write("two "); res.addTrailers({ "x-late": "1" }); res.end("three"); },
  repeated(req, res) { res.writeHead(200, [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["X-List", "p"], ["x-list", "q"], ["All", "mine"]].flat()); res.end(); },
  text(req, res) { res.end("<html>not json</html>"); },
  hang(req, res) { hold(res); },
  half(req, res) { res.writeHead(200, { "content-length": 1000 }); res.write("half"); hold(res); },
  reset(req, res) { res.writeHead(200, { "content-length": 1000 }); res.write("half", () => req.socket.resetAndDestroy()); },
  cut(req, res) { res.writeHead(200, { "content-length": 1000 }); res.write("half", () => req.socket.end()); },
  lastword(req, res) { res.on("finish", () => req.socket.end()); res.end("bye"); }, // closes a connection that looks kept
  silence(req, res) { req.socket.end(); },
  garbage(req, res) { req.socket.end("who goes there\r\n\r\n"); },
  bighead(req, res) { req.socket.write("HTTP/1.1 200 OK\r\n" + ("x-filler: " + "y".repeat(1000) + "\r\n").repeat(400) + "content-length: 0\r\n\r\n"); },
  connections(req, res) { res.end(String(connections)); },
  hanging(req, res, url, n) { waiters.push([() => hanging >= Number(n), res]); settle(); },
  released(req, res) { waiters.push([() => hanging === 0, res]); settle(); },
  sent(req, res) { res.end(String(sent)); },
  flood(req, res, url, n) { // n chunks of 64 KiB, as fast as they are taken
    sent = 0;
    let left = Number(n);
    const chunk = Buffer.alloc(65536, "z");
    const more = () => {
      while (left > 0) {
        left--;
        sent += chunk.length;
        if (!res.write(chunk)) return res.once("drain", more);
      }
      res.end();
    };
    more();
  },
  meet(req, res, url, n) { // answers when n requests are here
    if (!req.socket.writable) return; // came on a connection whose last word was said; it is tried again on another
    held.push(res);
    if (held.length < Number(n)) return;
    for (const each of held.splice(0)) each.end("met");
  },
};

function answer(req, res) {
  const url = new URL(req.url, "http://localhost");
  const [, name, arg] = url.pathname.split("/");
  (routes[name] || routes.status)(req, res, url, routes[name] ? arg : 404);
}

function listen(server) {
  server.keepAliveTimeout = 60000;
  server.on("connection", () => connections++);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

async function main([key, cert]) {
  const ports = [await listen(http.createServer(answer)), await listen(http.createServer(answer))];
  ports.push(key ? await listen(https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, answer)) : 0);
  console.log([process.pid, ...ports].join(" "));
}
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.exit(), 500).unref(); // do not outlive a test run that was killed
main(process.argv.slice(2));
