// SPDX-License-Identifier: MIT
// A server that answers with the bytes it is told, in the way it is told, for hostile_spec.lua.
// Prints: pid, port, TLS port. A request says: x-answer (hex), x-mode, x-at (how many of the bytes).
const net = require("net"), tls = require("tls"), fs = require("fs");

let open = 0, opened = 0, requests = 0;

const modes = {
  whole(sock, raw, bytes) { sock.write(bytes); },
  cut(sock, raw, bytes, at) { sock.end(bytes.subarray(0, at)); },
  chop(sock, raw, bytes, at) { sock.write(bytes.subarray(0, at), () => raw.destroy()); }, // TLS: without its farewell
  reset(sock, raw, bytes, at) { if (at) sock.write(bytes.subarray(0, at), () => raw.resetAndDestroy()); else raw.resetAndDestroy(); },
  stall(sock, raw, bytes, at) { sock.write(bytes.subarray(0, at)); },
  drip(sock, raw, bytes) {
    let i = 0;
    const more = () => { if (i < bytes.length && !sock.destroyed) sock.write(bytes.subarray(i, ++i), () => setImmediate(more)); };
    more();
  },
  twice(sock, raw, bytes) { sock.write(Buffer.concat([bytes, bytes])); },
  again(sock, raw, bytes) { sock.write(bytes, () => setTimeout(() => sock.destroyed || sock.write(bytes), 1)); },
  close(sock, raw, bytes) { sock.end(bytes); },
  forever(sock, raw, bytes, at) { // the bytes from `at` on without end
    const rest = Buffer.concat(Array(Math.ceil(16384 / (bytes.length - at))).fill(bytes.subarray(at)));
    const more = () => { while (!sock.destroyed && sock.write(rest)); };
    sock.on("drain", more);
    sock.write(bytes.subarray(0, at));
    more();
  },
  count(sock) {
    const text = JSON.stringify({ open, opened, requests });
    sock.write("HTTP/1.1 200 OK\r\nContent-Length: " + text.length + "\r\n\r\n" + text);
  },
};

function serve(sock, raw) {
  let text = "";
  opened++;
  open++;
  raw.setNoDelay(true);
  raw.on("close", () => open--);
  raw.on("error", () => {});
  sock.on("error", () => {});
  sock.on("data", (bytes) => {
    text += bytes.toString("latin1");
    for (let end; (end = text.indexOf("\r\n\r\n")) >= 0;) {
      const head = text.slice(0, end);
      const field = (name) => (new RegExp("^" + name + ": (.*)$", "mi").exec(head) || [])[1];
      const length = Number(field("content-length") || 0);
      const early = field("x-early"); // does not wait for the body
      if (!early && text.length < end + 4 + length) return;
      text = early ? "" : text.slice(end + 4 + length);
      requests++;
      if (field("x-sink")) sock.pause();
      modes[field("x-mode")](sock, raw, Buffer.from(field("x-answer") || "", "hex"), Number(field("x-at") || 0));
      if (early) return sock.removeAllListeners("data");
    }
  });
}

function listen(server) {
  return new Promise((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => resolve(server.address().port)));
}

async function main([key, cert]) {
  const secureContext = tls.createSecureContext({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
  const plain = await listen(net.createServer((raw) => serve(raw, raw)));
  const secure = await listen(net.createServer((raw) => serve(new tls.TLSSocket(raw, { isServer: true, secureContext }), raw)));
  console.log(process.pid, plain, secure);
}
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.exit(), 500).unref(); // do not outlive a test run that was killed
main(process.argv.slice(2));
