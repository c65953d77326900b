-- SPDX-License-Identifier: MIT
-- Encodes and decodes some documents with green.json, lua-cjson and, where it is there, Node: MB of (our) text per second,
-- the best of some rounds that take turns, and how many times as fast as lua-cjson that is.
local cjson = require "cjson"
local json = require "green.json"
local process = require "green.process"

local ROUNDS, SECONDS = 40, 0.005

local function many(n, make)
  local list = {}
  for i = 1, n do list[i] = make(i) end
  return list
end

local documents = {
  { "2,000 rows", many(2000, function(i)
    return { id = i, name = "Pizza number " .. i, price = (i * 37 % 9999) / 100, tags = { "hot", "new", "vegan" }, sold = i % 7 == 0, weight = i * 1.5 }
  end) },
  { "30,000 floats of 17 digits", many(30000, function(i) return i + 1 / 3 end) },
  { "30,000 integers", many(30000, function(i) return i * 7919 end) },
  { "2,000 texts", many(2000, function() return ("Grüße aus Köln, \"Zitat\", und noch etwas mehr ohne Umlaute. "):rep(4) end) },
  { "one small answer", { message = "Hello, World!" } },
}

local function seconds_of(fn, value, times)
  local before = os.clock()
  for _ = 1, times do fn(value) end
  return (os.clock() - before) / times
end

-- The best of each of the functions, in turns.
local function best(calls)
  local times, found = {}, {}
  for i, call in ipairs(calls) do
    times[i] = math.max(1, SECONDS // seconds_of(call[1], call[2], 1) | 0)
    found[i] = math.huge
  end
  for _ = 1, ROUNDS do
    for i, call in ipairs(calls) do found[i] = math.min(found[i], seconds_of(call[1], call[2], times[i])) end
  end
  return found
end

local NODE = [[
const text = require("fs").readFileSync(0, "utf8"), value = JSON.parse(text)
const best = fn => {
  let found = Infinity
  const once = () => { const at = process.hrtime.bigint(); fn(); return Number(process.hrtime.bigint() - at) / 1e9 }
  const times = Math.max(1, Math.floor(0.005 / once()))
  for (let r = 0; r < 40; r++) {
    const at = process.hrtime.bigint()
    for (let i = 0; i < times; i++) fn()
    found = Math.min(found, Number(process.hrtime.bigint() - at) / 1e9 / times)
  }
  return found
}
console.log(best(() => JSON.stringify(value)), best(() => JSON.parse(text)))
]]

local function node(text)
  local ok, result = pcall(process.capture, { "node", "-e", NODE }, { input = text })
  if not ok then return end
  local encode, decode = result.stdout:match "(%S+) (%S+)"
  return tonumber(encode), tonumber(decode)
end

local function line(what, n, ours, theirs, other)
  local function rate(seconds) return seconds and ("%8.1f"):format(n / seconds / 1e6) or "       -" end
  print(("  %-8s %s %s %s   x%.2f"):format(what, rate(ours), rate(theirs), rate(other), theirs / ours))
end

print "MB/s           green.json lua-cjson   Node   beside lua-cjson"
for _, document in ipairs(documents) do
  local name, value = document[1], document[2]
  local text, foreign = json.encode(value), cjson.encode(value)
  local found = best { { json.encode, value }, { cjson.encode, value }, { json.decode, text }, { cjson.decode, foreign } }
  local encode, decode = node(text)
  print(name)
  line("encode", #text, found[1], found[2], encode)
  line("decode", #text, found[3], found[4], decode)
end
