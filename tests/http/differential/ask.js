// SPDX-License-Identifier: MIT
// What Node's fetch makes of each answer: node ask.js BASE, with a line "method path" for each on stdin; a line of JSON for each on stdout.
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");

async function ask(base, line) {
  const [method, path] = line.split(" ");
  try {
    const res = await fetch(base + path, { method, redirect: "manual", signal: AbortSignal.timeout(10000) });
    const body = Buffer.from(await res.arrayBuffer()).toString("latin1");
    return { status: res.status, x: res.headers.get("x"), body };
  } catch (e) {
    return { error: String((e.cause && (e.cause.code || e.cause.message)) || e.message) };
  }
}

async function main([base]) {
  for (const line of lines) console.log(JSON.stringify(await ask(base, line)));
}
main(process.argv.slice(2));
