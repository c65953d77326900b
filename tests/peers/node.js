// SPDX-License-Identifier: MIT
// The routes of servers.lua in Node's http and https. Prints: the plain port, the TLS port.
//
//   node node.js KEY CERT
"use strict";
const http = require("http"), https = require("https"), zlib = require("zlib"), fs = require("fs");

const [key, cert] = process.argv.slice(2);
const squeezed = Buffer.from("squeezed".repeat(1000));
const store = new Map();

function coded(coding, bytes) {
  return (req, res) => {
    res.writeHead(200, { "content-encoding": coding, "content-length": bytes.length });
    res.end(bytes);
  };
}

function bytes(req, res, arg) {
  const all = Buffer.alloc(Number(arg), Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range || "") || [];
  const head = { "content-type": "application/octet-stream", "accept-ranges": "bytes" };
  if (first === undefined) {
    res.writeHead(200, { ...head, "content-length": all.length });
    return res.end(all);
  }
  if (Number(first) >= all.length) {
    res.writeHead(416, { "content-range": `bytes */${all.length}` });
    return res.end();
  }
  const to = Math.min(last === "" ? Infinity : Number(last), all.length - 1);
  res.writeHead(206, { ...head, "content-range": `bytes ${first}-${to}/${all.length}`, "content-length": to - first + 1 });
  res.end(all.subarray(Number(first), to + 1));
}

function guarded(wanted, challenge) {
  return (req, res) => {
    if (req.headers.authorization === wanted) return res.end("in");
    res.writeHead(401, { "www-authenticate": challenge });
    res.end("out");
  };
}

function keep(req, res, name) {
  if (req.method === "PUT") {
    const parts = [];
    req.on("data", (part) => parts.push(part));
    return req.on("end", () => {
      store.set(name, Buffer.concat(parts));
      res.writeHead(201).end();
    });
  }
  if (!store.has(name)) return res.writeHead(404).end();
  if (req.method !== "DELETE") return res.end(store.get(name));
  store.delete(name);
  res.writeHead(204).end();
}

function drip(req, res) {
  let left = 10;
  const more = setInterval(() => {
    res.write("drop by 10");
    if (--left > 0) return;
    clearInterval(more);
    res.end();
  }, 5);
}

const routes = {
  anything(req, res) {
    const told = ["host", "x-probe", "user-agent", "accept-encoding", "via", "authorization", "proxy-authorization"];
    res.setHeader("content-type", "text/plain");
    res.end(`${req.method} ${req.url}\n` + told.map((name) => `${name}: ${req.headers[name] || ""}\n`).join(""));
  },
  status(req, res, arg) { res.writeHead(Number(arg)).end(); },
  redirect(req, res, arg) { res.writeHead(Number(arg), { location: "/anything" }).end("moved"); },
  "redirect-to"(req, res) { res.writeHead(302, { location: new URL(req.url, "http://x").searchParams.get("url") }).end(); },
  cookies(req, res, arg) {
    if (arg !== "set") return res.end(req.headers.cookie || "");
    res.writeHead(302, { "set-cookie": ["a=1; Path=/", "b=2; Path=/; HttpOnly"], location: "/cookies" }).end();
  },
  gzip: coded("gzip", zlib.gzipSync(squeezed)),
  deflate: coded("deflate", zlib.deflateSync(squeezed)),
  br: coded("br", zlib.brotliCompressSync(squeezed)),
  chunked(req, res) {
    res.writeHead(200, { trailer: "X-Late" });
    res.write("one ");
    res.write("two ");
    res.addTrailers({ "X-Late": "1" });
    res.end("three");
  },
  drip, bytes,
  basic: guarded("Basic " + Buffer.from("us:pa").toString("base64"), 'Basic realm="peers"'),
  bearer: guarded("Bearer token", "Bearer"),
  store: keep,
  refuse(req, res) { res.writeHead(413, { connection: "close" }).end("too much"); },
  hang() {},
  close(req, res) { res.writeHead(200, { connection: "close" }).end("bye"); },
  silence(req) { req.socket.end(); },
  cut(req, res, arg) {
    res.writeHead(200, arg === "chunked" ? {} : { "content-length": 1000 });
    res.write("half", () => req.socket.end());
  },
  reset(req, res) {
    res.writeHead(200, { "content-length": 1000 });
    res.write("half", () => (req.socket._parent || req.socket).resetAndDestroy()); // under TLS, that of the connection below
  },
  leave(req, res) { // looks kept, and is not
    res.on("finish", () => req.socket.end());
    res.end("bye");
  },
  hints(req, res) {
    res.writeEarlyHints({ link: "</a>; rel=preload" });
    res.end("hinted");
  },
};

function answer(req, res) {
  const [, name, arg] = req.url.split("?")[0].split("/");
  if (routes[name]) return routes[name](req, res, arg);
  res.writeHead(404).end();
}

function agree(req, res) { // Expect: 100-continue
  if (!req.url.startsWith("/refuse")) res.writeContinue();
  answer(req, res);
}

function listen(server) {
  server.on("checkContinue", agree);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

async function main() {
  const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
  console.log(await listen(http.createServer(answer)), await listen(https.createServer(tls, answer)));
}
main();
