// SPDX-License-Identifier: MIT
//
// The Node peer: the stock http module, one process, the same bodies as the
// other servers. Timeouts are off so that idle connections stay open.
//
//   UPSTREAM=http://127.0.0.1:PORT/plaintext node node.js PORT
'use strict';
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 1024 });

function send(res, type, body) {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

const hello = (res) => send(res, 'text/plain', 'Hello, World!');

function proxy(res) {
  http.get(process.env.UPSTREAM, { agent }, (answer) => {
    let body = '';
    answer.setEncoding('utf8');
    answer.on('data', (part) => { body += part; });
    answer.on('end', () => send(res, 'text/plain', body));
  });
}

const routes = {
  '/plaintext': hello,
  '/json': (res) => send(res, 'application/json', JSON.stringify({ message: 'Hello, World!' })),
  '/sleep': (res) => setTimeout(hello, 10, res),
  '/hold': (res) => setTimeout(hello, 30000, res),
  '/proxy': proxy,
};

const server = http.createServer((req, res) => {
  const route = routes[req.url];
  if (route) return route(res);
  res.writeHead(404).end();
});
server.keepAliveTimeout = 600000;
server.headersTimeout = 0;
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
