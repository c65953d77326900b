// SPDX-License-Identifier: MIT
//
// The Node peer of tests/bench/hogs: node node.js PORT
'use strict';
require('http').createServer((req, res) => {
  if (req.url.startsWith('/busy/')) for (;;);
  res.end(req.url === '/fast' ? 'Hello, World!' : '');
}).listen(Number(process.argv[2]), '127.0.0.1');
