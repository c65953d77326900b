-- SPDX-License-Identifier: MIT
-- The task of a stream never learned that its client had left unless it wrote: an event stream that waited for news stayed, with its
-- subscription and its connection. It is cancelled now, as a WebSocket's handler is, unless the route (or the request, or the
-- server) says otherwise; and that is no error in the log.
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"
local app = require "green.app"

local KINDS = { stream = response.stream, events = response.events }

-- What becomes of a waiting stream whose client leaves, when `out` says so: "cancelled", "goes on".
local function outcome(kind, opts, prepare)
  local began, state
  local stays = opts or prepare
  local a = app.new()
  a:get("/", function(req)
    if prepare then prepare(req) end
    return KINDS[kind](function(out)
      local _ <close> = setmetatable({}, { __close = function(_, err) state = state or err and err.code end })
      if kind == "stream" then out:write "x" else out:send "x" end
      began = true
      task.sleep(stays and 0.5 or 60)
      state = "goes on"
    end)
  end, opts)
  local server = a:listen "127.0.0.1:0"
  do
    local client <close> = raw.connect(server:address())
    client:send(raw.GET)
    assert(client:more())
    raw.eventually(function() return began end, "the stream began")
  end
  raw.eventually(function() return state end, "the stream ended")
  server:abort()
  server:finish(20)
  return state
end

describe("a stream whose client has left", function()
  for kind in pairs(KINDS) do
    it("is cancelled while it waits: " .. kind, function() assert.equal("ECANCELED", outcome(kind)) end)

    it("goes on if its route or its request says so: " .. kind, function()
      assert.equal("goes on", outcome(kind, { cancel_on_disconnect = false }))
      assert.equal("goes on", outcome(kind, nil, function(req) req.cancel_on_disconnect = false end))
    end)
  end

  it("goes on if its server says so", function()
    local state, began
    local function handler()
      return response.events(function(events)
        events:send "x"
        began = true
        task.sleep(0.1)
        state = "goes on"
      end)
    end
    raw.serve(handler, { cancel_on_disconnect = false }, function(address)
      local client = raw.connect(address)
      client:send(raw.GET)
      raw.eventually(function() return began end, "it began")
      client:close()
      raw.eventually(function() return state end, "it ended")
    end)
  end)

  it("is cancelled if the client had left before it began, when it is one of events", function()
    local left, state
    local function handler()
      raw.eventually(function() return left end, "the client left")
      task.sleep(0.02)
      return response.events(function()
        local _ <close> = setmetatable({}, { __close = function(_, err) state = err and err.code or "whole" end })
        task.sleep(20)
      end)
    end
    raw.serve(handler, {}, function(address)
      local client = raw.connect(address)
      client:send(raw.GET)
      raw.eventually(function() return client end, "connected")
      client:close()
      left = true
      raw.eventually(function() return state end, "the stream ended")
      assert.equal("ECANCELED", state)
    end)
  end)

  it("of bytes is sent to a client that shuts down its side before it began", function()
    local go
    local function handler()
      raw.eventually(function() return go end, "told to go on")
      return response.stream(function(out)
        out:write "a"
        task.sleep(0.01)
        out:write "b"
      end)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      client:shutdown()
      task.sleep(0.02)
      go = true
      assert.equal("ab", client:answer().body)
    end)
  end)

  it("is no error in the log; a fault of its own is", function()
    local _, err = raw.script [[
      local response = require "green.response"
      local task = require "green.task"
      local ended = 0
      local function handler(req)
        return response.events(function(events)
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          events:send "x"
          if req.path == "/waits" then task.sleep(60) end
          while true do events:send(("x"):rep(65536)) end
        end)
      end
      for _, cancel in ipairs { true, false } do
        raw.serve(handler, { cancel_on_disconnect = cancel }, function(address)
          for i = 1, 20 do
            local client = raw.connect(address)
            client:send(raw.get(cancel and i % 2 == 0 and "/waits" or "/writes"))
            client:more()
            client:close()
          end
          raw.eventually(function() return ended % 20 == 0 and ended > 0 end, "all ended")
        end)
      end
    ]]
    assert.equal("", err)
    _, err = raw.script [[
      local response = require "green.response"
      local task = require "green.task"
      local began, ended
      local function handler()
        return response.events(function()
          local _ <close> = setmetatable({}, { __close = function() ended = true end })
          began = true
          pcall(task.sleep, 60)
          error "a fault"
        end)
      end
      raw.serve(handler, {}, function(address)
        local client = raw.connect(address)
        client:send(raw.GET)
        raw.eventually(function() return began end, "it began")
        client:close()
        raw.eventually(function() return ended end, "it ended")
      end)
    ]]
    assert.matches("error: GET / %[%x+%]: script.lua:%d+: a fault\n", err)
  end)
end)
