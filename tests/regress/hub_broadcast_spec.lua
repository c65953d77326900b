-- SPDX-License-Identifier: MIT
-- A message to thousands of sockets is as many writes, all at the end of one turn: with 9,000 clients nobody else was
-- served for a quarter of a second. The loop is looked at between them now, and who asks meanwhile comes first.
local frames = require "http.frames"
local hub = require "green.hub"
local native = require "green.http.native"
local task = require "green.task"
local ws = require "green.ws"

local CLIENTS = 1500
local TIMEOUT = 60

describe("a message to many sockets", function()
  it("lets others run while it is written, and reaches all", function()
    local server = native.listen("127.0.0.1:0", function(req)
      local socket <close> = ws.accept(req)
      socket:subscribe "news"
      for _ in socket:messages() do end
    end)
    local _ <close> = setmetatable({}, { __close = function() server:abort() end })
    local clients = {}
    for c = 1, CLIENTS do clients[c] = frames.connect(server:address()) end
    while hub.count "news" < CLIENTS do task.sleep(0.001) end

    -- A turn of the loop is one wait; the first and the last socket are written in different ones. Returns how many turns apart that was seen.
    local function publish()
      local turns, seen = 0, {}
      local watchers = {}
      for _, c in ipairs { 1, CLIENTS } do
        watchers[#watchers + 1] = task.spawn(function()
          clients[c]:message()
          seen[#seen + 1] = turns
        end)
      end
      local counting = true
      local function count() -- by a new task each time: one that has counted for long would have its turn less often
        turns = turns + 1
        counting = #seen < 2
        if counting then task.spawn(count) end
      end
      task.spawn(count)
      task.sleep(0)
      assert.equal(CLIENTS, hub.publish("news", ("x"):rep(500)))
      for _, one in ipairs(watchers) do one:join() end
      while counting do task.sleep(0) end
      for c = 2, CLIENTS - 1 do assert.equal(500, #clients[c]:message()) end
      return seen[2] - seen[1]
    end

    local apart
    for _ = 1, 10 do -- a kernel that is busy may deliver all at once
      apart = publish()
      if apart > 0 then break end
    end
    assert.is_true(apart > 0)
    for c = 1, CLIENTS do
      clients[c]:raw(frames.close(1000))
      clients[c]:close()
    end
    server:finish(TIMEOUT)
  end)
end)
