// SPDX-License-Identifier: MIT
// Asks a URL so many times, some requests at a time, and prints the microseconds of CPU time that each took. See tests/bench/at_once.
import http from "node:http";

const [url, atOnce, total] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
// as many connections as the client of greenlua has by default, and as many kept
const agent = new http.Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 });

function get() {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (resp) => {
      let body = "";
      resp.setEncoding("latin1");
      resp.on("data", (piece) => (body += piece));
      resp.on("end", () => (body === "Hello, World!" ? resolve() : reject(new Error(body))));
      resp.on("error", reject);
    }).on("error", reject);
  });
}

async function run(n) {
  let left = n;
  const ask = async () => {
    while (left-- > 0) await get();
  };
  await Promise.all(Array.from({ length: atOnce }, ask));
}

await run(atOnce + 1000); // connections are made
const before = process.cpuUsage();
await run(total);
const used = process.cpuUsage(before);
console.log(((used.user + used.system) / total).toFixed(2));
agent.destroy();
