-- SPDX-License-Identifier: MIT
-- Patterns hold up nobody (host/stdlib/match.h): others run while one is matched, and a match that would never end does so when
-- its task must end. One 16 KB cookie once held a server for 7 s, and ("a"):rep(3000):find((".-"):rep(12) .. "b") never came back.
local is_ended = require "stdlib.ended"
local task = require "green.task"

local ENDLESS = (".-"):rep(12) .. "b"
local subject = ("a"):rep(3000)

-- Never comes back by itself, in each of the functions.
local endless = {
  ["string.find"] = function() return subject:find(ENDLESS) end,
  ["string.match"] = function() return subject:match(ENDLESS) end,
  ["string.gmatch"] = function() return subject:gmatch(ENDLESS)() end,
  ["string.gsub"] = function() return subject:gsub(ENDLESS, "") end,
  ["greedy"] = function() return subject:find((".*"):rep(12) .. "b") end,
  ["optional"] = function() return ("a"):rep(60):find("^" .. ("a?"):rep(60) .. ("a"):rep(59) .. "b") end,
  ["captures"] = function() return subject:find(("(.-)"):rep(12) .. "b") end,
  ["anchored"] = function() return subject:find("^" .. ENDLESS) end,
  ["sets"] = function() return subject:find(("[%w_]-"):rep(12) .. "b") end,
  ["in a coroutine"] = function() return coroutine.wrap(function() error(select(2, pcall(string.find, subject, ENDLESS)), 0) end)() end,
  ["in a callback"] = function() return ("x"):gsub("x", function() return subject:find(ENDLESS) end) end,
  ["%b"] = function() return ("("):rep(4000000):find "%b()" end,
  ["%f"] = function() return ("a"):rep(1000):gsub("", function() return subject:find("%f[b]" .. ENDLESS) end) and subject:find(ENDLESS) end,
}

describe("a match that never ends", function()
  for name, call in pairs(endless) do
    it("lets others run, and is ended by a cancel: " .. name, function() is_ended(call, 4) end)
  end

  it("is ended by a deadline", function()
    local ok, err = pcall(task.deadline, 0.1, string.find, subject, ENDLESS)
    assert.is_false(ok)
    assert.equal("EDEADLINE", err.code)
  end)

  it("is ended where the script has a hook", function()
    local ok, err = pcall(task.deadline, 0.1, function()
      debug.sethook(function() end, "l")
      return subject:find(ENDLESS)
    end)
    debug.sethook()
    assert.is_false(ok)
    assert.equal("EDEADLINE", err.code)
  end)
end)

describe("a match beside other tasks", function()
  it("has the results that it has alone", function()
    local text = ("key=value; "):rep(20000)
    local function work()
      local n, sum = 0, 0
      for key, value in text:gmatch "(%w+)=(%w+)" do n, sum = n + #key, sum + #value end
      local replaced, count = text:gsub("(%w+)=(%w+)", "%2=%1")
      return n, sum, #replaced, count, (text:gsub("%s+", ""):len())
    end
    local alone = table.pack(work())
    local tasks = {}
    for i = 1, 4 do tasks[i] = task.spawn(work) end
    for _, t in ipairs(tasks) do assert.same(alone, table.pack(t:join())) end
  end)

  it("may share an iterator with them", function()
    local next_match = (("a "):rep(1000)):gmatch "%a"
    local function drain()
      local n = 0
      while next_match() do
        n = n + 1
        if n % 10 == 0 then task.sleep(0) end
      end
      return n
    end
    local a, b = task.spawn(drain), task.spawn(drain)
    assert.equal(1000, a:join() + b:join())
  end)
end)

it("callbacks of gsub may be nested as deep as under lua5.4", function()
  local function nest(depth) return (("x"):gsub("(x)", function() return nest(depth + 1) end)) end
  local ok, message = pcall(nest, 1)
  assert.is_false(ok)
  assert.matches("C stack overflow", message)
  local choices = ("(x?)"):rep(30) -- more than there is room for on the C stack
  local function nest_choices() return (("x"):gsub(choices, nest_choices, 1)) end
  assert.matches("C stack overflow", select(2, pcall(nest_choices)))
end)
