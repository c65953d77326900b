-- SPDX-License-Identifier: MIT
-- Names below C modules, where the system's resolver is gate.c: names_spec.lua runs this.
require "helper"
local cross = require "libc.cross"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local waiting = outcome.waiting
local TEN = 10 << 24 -- 10.0.0.0

local gates = 0
local function gate()
  gates = gates + 1
  local n = gates
  local function open() p.open_gate(n) end -- at the end in any case: there are so many threads
  return { name = ("g%d.test"):format(n), address = TEN + n, wake = open, done = open }
end

cross(_ENV, {
  { "getaddrinfo", gate, function(s) return p.getaddrinfo(s.name, "80") end },
  { "getnameinfo", gate, function(s) return p.getnameinfo(s.address) end },
  { "gethostbyname", gate, function(s) return p.gethostbyname(s.name) end },
  { "gethostbyname", gate, function(s) return p.gethostbyname2(s.name) end },
  { "gethostbyname", gate, function(s) return p.gethostbyname_r(s.name) end },
  { "gethostbyname", gate, function(s) return p.gethostbyname2_r(s.name) end },
  { "gethostbyaddr", gate, function(s) return p.gethostbyaddr(s.address) end },
  { "gethostbyaddr", gate, function(s) return p.gethostbyaddr_r(s.address) end },
})

describe("the resolver", function()
  it("answers each its own question, whoever asked first", function()
    local list, states = {}, {}
    for i = 1, 30 do
      states[i] = gate()
      list[i] = waiting(task.spawn(function() return p.gethostbyname(states[i].name) end))
    end
    for i = 30, 1, -1 do states[i].wake() end
    for i = 1, 30 do assert.same({ 0, nil, "127.0.0.1 127.0.0.1" }, { list[i]:join(60) }) end
  end)

  it("is told of by name, with the module that asks", function()
    local s = gate()
    local one = waiting(task.spawn(p.getaddrinfo, s.name))
    local said = {}
    for _, t in ipairs(require("green.debug").tasks()) do said[t.waits_for or ""] = true end
    assert.is_true(said[("libc.getaddrinfo %s (probe.so)"):format(s.name)])
    s.wake()
    assert.same({ 0, nil, "127.0.0.1:0  " }, { one:join(60) })
  end)

  it("asks nobody for numbers", function()
    assert.same({ 0, nil, "10.0.0.1:80  " }, { p.getaddrinfo("10.0.0.1", "80") })
    assert.same({ 0, nil, "10.0.0.1 80" }, { p.getnameinfo(TEN + 1, 80, 3) })
    assert.same({ 0, nil, "10.0.0.1 10.0.0.1" }, { p.gethostbyname "10.0.0.1" })
  end)

  it("is refused a long wait in a finalizer", function()
    local s = gate()
    local got
    setmetatable({}, { __gc = function() got = { p.getaddrinfo(s.name) } end })
    collectgarbage()
    assert.same({ -1, "EAI_AGAIN" }, got)
    s.done()
    local until_ = os.time() + 60
    repeat -- a busy machine may take longer than a finalizer has
      s = gate()
      s.wake()
      setmetatable({}, { __gc = function() got = { p.getaddrinfo(s.name) } end })
      collectgarbage()
    until got[1] == 0 or os.time() > until_
    assert.same({ 0, nil, "127.0.0.1:0  " }, got)
  end)

  it("leaves h_errno to each task", function()
    local a, b = p.pair()
    local one = waiting(task.spawn(p.after, a, 3))
    p.h_errno(1)
    p.send(b, "x")
    assert.same({ 3, 3 }, { one:join(60) })
    p.close(a)
    p.close(b)
  end)
end)
