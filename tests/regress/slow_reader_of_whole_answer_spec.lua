-- SPDX-License-Identifier: MIT
-- A whole answer (a string, a table) was cut after write_timeout although its client read steadily: 20 MiB at 300 KB/s ended
-- with 12 MiB after 43 s. And a client that read nothing was kept for twice the time. Whether the queue had shrunk was looked at
-- only when the time was over, and compared with a figure of another answer. Progress is what reached the client since
-- the last look, the kernel's own queue included.
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local SIZE = 16 * 1024 * 1024
local PIECE = ("x"):rep(64 * 1024)
local WHOLE = PIECE:rep(SIZE // #PIECE)

-- Reads an answer with the given pace; the bytes of the body.
local function read_slowly(client, pause)
  assert.equal("HTTP/1.1 200 OK", client:line())
  while client:line() ~= "" do end
  local n = #client.buffer
  client.buffer = ""
  while n < SIZE and client:more() do
    n = n + #client.buffer
    client.buffer = ""
    task.sleep(pause)
  end
  return n
end

describe("a client that reads slowly", function()
  local kinds = {
    string = function() return WHOLE end,
    stream = function()
      return response.stream(function(out)
        for _ = 1, SIZE // #PIECE do out:write(PIECE) end
      end, { headers = { ["content-length"] = SIZE } })
    end,
    ["last answer"] = function() return response.text(WHOLE):header("connection", "close") end,
  }
  for kind, handler in pairs(kinds) do
    it("gets all of its answer, however long it takes: " .. kind, function()
      raw.serve(handler, { write_timeout = 1, keepalive_timeout = 1 }, function(address)
        local client <close> = raw.connect(address)
        client:send(raw.GET)
        assert.equal(SIZE, read_slowly(client, 0.004)) -- some two seconds
      end)
    end)
  end

  it("may fall silent for a while, as long as the time between two requests, when it has read all", function()
    raw.serve(kinds.string, { write_timeout = 1, keepalive_timeout = 20 }, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      assert.equal(SIZE, read_slowly(client, 0))
      task.sleep(1.5)
      client:send(raw.GET)
      assert.equal(SIZE, read_slowly(client, 0))
    end)
  end)
end)

describe("a client that reads nothing", function()
  it("is left after the write timeout, and not after twice that", function()
    raw.serve(function() return WHOLE end, { write_timeout = 3, keepalive_timeout = 20 }, function(address, server)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      client:take(1)
      local late = task.spawn(task.sleep, 5.9)
      repeat task.sleep(0.01) until server:connections() == 0
      assert.not_equal("done", late:status())
      late:cancel()
    end)
  end)
end)
