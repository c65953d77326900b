-- SPDX-License-Identifier: MIT
-- Random frames, mostly wrong, at an echo server: it must answer what is right, close on what is wrong, and
-- leave nothing behind. WS_FUZZ_CASES and WS_FUZZ_SEED choose other cases than the usual ones.
local frames = require "http.frames"
local native = require "green.http.native"
local task = require "green.task"
local ws = require "green.ws"

local CASES = tonumber(os.getenv "WS_FUZZ_CASES" or "2000")
local MOST = 60 -- seconds: a slow machine tries fewer of them
local SEED = tonumber(os.getenv "WS_FUZZ_SEED" or "4711")
local AT_ONCE = 20
local CLOSE_CODES = { [1000] = true, [1002] = true, [1007] = true, [1009] = true }

-- A small generator of our own: the cases must be the same everywhere.
local function generator(seed)
  local state = seed * 2654435761 + 1
  return function(n) -- 0 .. n - 1
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % n
  end
end

local function payload(random)
  local kind = random(8)
  if kind == 0 then return "" end
  if kind == 1 then return ("é"):rep(random(200)) end
  if kind == 2 then return ("x"):rep(random(70000)) end
  if kind == 3 then return ("x"):rep(120 + random(12)) end
  local bytes = {}
  for i = 1, random(40) do bytes[i] = string.char(kind == 4 and random(256) or 32 + random(90)) end
  return table.concat(bytes)
end

local function options(random)
  local o = {}
  if random(4) == 0 then o.fin = false end
  if random(12) == 0 then o.rsv = random(8) end
  if random(12) == 0 then o.mask = false elseif random(4) == 0 then o.mask = string.pack("<I4", random(1 << 31)) end
  if random(25) == 0 then o.length = random(1 << 30) end
  if random(25) == 0 then o.as = random(2) == 0 and 16 or 64 end
  return o
end

local function frame(random)
  local opcodes = { 0, 0, 1, 1, 1, 2, 2, 8, 9, 9, 10, random(16) }
  local opcode, o, bytes = opcodes[random(#opcodes) + 1], options(random), payload(random)
  if opcode >= 8 and random(6) > 0 then bytes, o.fin = bytes:sub(1, 125), nil end
  if opcode == 8 and random(4) > 0 then bytes = string.pack(">I2", 900 + random(4500)) .. bytes:sub(1, 100) end
  if (opcode == 1 or opcode == 2) and random(3) == 0 then bytes, o.rsv = frames.stored(bytes), 4 end
  if o.as == 16 and #bytes > 65535 or o.length and o.as == 16 then o.as = nil end
  return frames.encode(opcode, bytes, o)
end

-- What a client sends: good messages and bad frames, some of it damaged, in pieces.
local function bytes_of(random)
  local parts = {}
  for i = 1, 1 + random(8) do parts[i] = random(3) == 0 and frames.text "good" or frame(random) end
  local all = table.concat(parts)
  if random(5) == 0 then
    local at = 1 + random(#all)
    all = all:sub(1, at - 1) .. string.char(random(256)) .. all:sub(at + 1)
  end
  if random(5) == 0 then all = all:sub(1, random(#all + 1)) end
  return all
end

local function send(client, all, random)
  local at = 1
  while at <= #all do
    local n = random(3) == 0 and 1 + random(10) or 1 + random(#all)
    client:raw(all:sub(at, at + n - 1))
    at = at + n
    if random(3) == 0 then task.sleep(0) end
  end
end

-- Everything the server says is well-formed, and after a close frame it says nothing.
local function listen(client, seed, compressed)
  while true do
    local opcode, text, fin, rsv = client:frame()
    if not opcode then return end
    assert(fin and (rsv == 0 or rsv == 4 and compressed and opcode < 8) and (opcode == 1 or opcode == 2 or opcode == 8 or opcode == 10), "seed " .. seed)
    if opcode == frames.CLOSE then
      local code = #text >= 2 and string.unpack(">I2", text) or 1000
      assert(CLOSE_CODES[code] or code >= 1000 and code <= 4999, ("seed %d: code %d"):format(seed, code))
      pcall(client.raw, client, frames.close(1000)) -- the server may be gone already
      assert(not client:frame(), "seed " .. seed .. ": a frame after the close frame")
      return
    end
  end
end

local function case(address, seed)
  local random = generator(seed)
  local all = bytes_of(random)
  local behind = random(4) == 0 and 1 + random(#all + 1) or 1
  local compressed = seed % 2 == 0
  local offer = { ["Sec-WebSocket-Extensions"] = compressed and "permessage-deflate" or false }
  local client = frames.connect(address, { headers = offer, behind = all:sub(1, behind - 1) })
  local listener = random(10) > 0 and task.spawn(listen, client, seed, compressed)
  pcall(send, client, all:sub(behind), random) -- it may be closed before the end
  if not listener or random(8) == 0 then
    if listener then listener:cancel() end
    pcall(function() return listener and listener:join() end)
    client:close() -- without a word
    return
  end
  pcall(client.raw, client, frames.close(1000))
  task.sleep(0)
  client.socket:shutdown() -- it may be within a frame
  listener:join()
  client:close()
end

-- Some handlers receive and echo, some only send, some leave at once: all but EPIPE, and the cancel of one whose peer left, is a fault.
local function handler(socket, number)
  if number % 7 == 6 then return end
  if number % 7 == 5 then
    for i = 1, 20 do
      socket:send(("%d"):format(i))
      task.sleep(0)
    end
    return
  end
  for message, kind in socket:messages() do
    if kind == "text" then
      assert(utf8.len(message))
      socket:send(message)
    else
      socket:send_binary(message)
    end
  end
end

describe("random frames", function()
  it(("do no harm (%d cases from seed %d)"):format(CASES, SEED), function()
    local number, faults = 0, {}
    local function come()
      number = number + 1
      return number
    end
    local server = native.listen("127.0.0.1:0", function(req)
      local count = task.atomic(come)
      local socket <close> = ws.accept(req, { max_message = 100000, compression = { context_takeover = count % 3 == 0, threshold = 20 } })
      local ok, err = pcall(handler, socket, count)
      if not ok and not (type(err) == "table" and (err.code == "EPIPE" or err.code == "ECANCELED")) then table.insert(faults, tostring(err)) end
    end)
    local _ <close> = setmetatable({}, { __close = function() server:abort() end })
    local late, last_case, workers = task.now() + MOST, 0, {}
    local function next_case()
      if last_case == CASES or task.now() > late then return nil end
      last_case = last_case + 1
      return last_case
    end
    for i = 1, AT_ONCE do
      workers[i] = task.spawn(function()
        for n in task.atomic, next_case do case(server:address(), SEED + n) end
      end)
    end
    for _, one in ipairs(workers) do one:join() end
    assert.same({}, faults)
    assert.equal(last_case, number)
    server:finish(30)
  end)
end)
