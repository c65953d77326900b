-- SPDX-License-Identifier: MIT
-- Two tasks that required a module at once loaded it twice, if it waited while it was loaded or was preempted there: each got a module of
-- its own, one of which nobody found again. Whoever comes second waits for the first now.
local outcome = require "outcome"
local sh = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local TIMEOUT = 60 -- seconds

describe("a module that is required by many tasks", function()
  local name, loads, gate

  before_each(function()
    name, loads, gate = "tests.required." .. tostring({}), 0, task.channel(0)
  end)

  after_each(function() package.loaded[name], package.preload[name] = nil, nil end)

  -- The module counts its loads and waits for `gate`; what comes through it is called for the result.
  local function module()
    package.preload[name] = function(...)
      loads = loads + 1
      return gate:receive(TIMEOUT)(...)
    end
  end

  -- n tasks that require it, one after the other, and wait.
  local function requirers(n)
    local list = {}
    for i = 1, n do list[i] = waiting(task.spawn(require, name)) end
    return list
  end

  local function open(fn) gate:send(fn, TIMEOUT) end

  it("is loaded once", function()
    module()
    local list, it_is = requirers(5), {}
    open(function() return it_is end)
    for i = 1, 5 do assert.equal(it_is, (list[i]:join(TIMEOUT))) end
    assert.equal(1, loads)
    assert.equal(it_is, require(name))
    -- The loader's extra value is for who has loaded it, as under lua.
    assert.same({ 2, 1, 1 }, { select("#", list[1]:join()), select("#", list[2]:join()), select("#", require(name)) })
  end)

  it("that is a file is loaded once", function()
    local out = sh("$lua a.lua", {
      ["m.lua"] = "print 'loading'\nrequire('green.task').sleep(0.001)\nreturn { ... }",
      ["a.lua"] = [[
        local task = require "green.task"
        local list = task.map({ 1, 2, 3, 4 }, function() return require "m" end)
        for i = 1, 4 do assert(list[i] == require "m") end
        print(list[1][1], list[1][2])]],
    })
    assert.equal("loading\nm\t./m.lua\n", out)
  end)

  it("fails for all who wait with the same error, and is tried again by who comes later", function()
    module()
    local list, err = requirers(4), { "no" }
    open(function() error(err) end)
    for i = 1, 4 do assert.equal(err, failure(list[i].join, list[i], TIMEOUT)) end
    assert.equal(1, loads)
    local again = requirers(1)[1]
    open(function() return 7 end)
    assert.equal(7, again:join(TIMEOUT))
    assert.equal(2, loads)
  end)

  it("that is not found is so for all, with the stock text", function()
    local out, err = sh("$lua a.lua", {
      ["a.lua"] = [[
        local task = require "green.task"
        table.insert(package.searchers, 1, function() task.sleep(0.001) return "nowhere" end)
        package.path, package.cpath = "", ""
        local texts = task.map({ 1, 2 }, function() return (select(2, pcall(require, "soup"))) end)
        print(texts[1] == texts[2], texts[1])]],
    })
    assert.equal("", err)
    assert.matches("^true\tmodule 'soup' not found:\n\tnowhere\n\tno field package.preload%['soup'%]\n", out)
  end)

  for how, first_requires in pairs {
    ["is cancelled"] = function() return waiting(task.spawn(require, name)), true end,
    ["is late"] = function() return waiting(task.spawn(task.deadline, 0.05, require, name)) end,
  } do
    it("is loaded by the next one when the task that loads it " .. how, function()
      module()
      local first, cancels = first_requires()
      local list = requirers(3)
      if cancels then first:cancel() end
      first:wait(TIMEOUT)
      outcome.eventually(function() return loads == 2 end)
      open(function() return "soup" end)
      for i = 1, 3 do assert.equal("soup", (list[i]:join(TIMEOUT))) end
      assert.equal(2, loads)
    end)
  end

  it("is loaded by the next one when the first has no memory", function()
    module()
    local list = requirers(3)
    open(function() error("not enough memory", 0) end)
    assert.equal("not enough memory", failure(list[1].join, list[1], TIMEOUT))
    open(function() return "soup" end)
    for i = 2, 3 do assert.equal("soup", (list[i]:join(TIMEOUT))) end
    assert.equal(2, loads)
  end)

  it("goes on for the others when one of them leaves", function()
    module()
    local list = requirers(4)
    list[2]:cancel()
    assert.equal("cancelled", list[2]:wait(TIMEOUT))
    assert.equal("EDEADLINE", failure(task.deadline, 0.01, require, name).code)
    open(function() return "soup" end)
    for _, i in ipairs { 1, 3, 4 } do assert.equal("soup", (list[i]:join(TIMEOUT))) end
    assert.equal(1, loads)
  end)

  it("that gives false is loaded by each, as under lua", function()
    module()
    local list = requirers(3)
    for _ = 1, 3 do open(function() return false end) end
    for i = 1, 3 do assert.is_false((list[i]:join(TIMEOUT))) end
    assert.equal(3, loads)
  end)

  it("is there as soon as it has put itself into package.loaded", function()
    package.preload[name] = function()
      package.loaded[name] = "half"
      return gate:receive(TIMEOUT)()
    end
    local first = requirers(1)[1]
    assert.equal("half", require(name))
    open(function() return "whole" end)
    assert.equal("whole", (first:join(TIMEOUT)))
  end)

  it("cannot be waited for in task.atomic, nor in a finalizer, which loads it", function()
    module()
    local first = requirers(1)[1]
    assert.equal("EATOMIC", failure(task.atomic, require, name).code)
    local code
    setmetatable({}, { __gc = function() code = select(2, pcall(require, name)).code end })
    collectgarbage()
    assert.equal("EFINALIZER", code)
    open(function() return 1 end)
    first:join(TIMEOUT)
    assert.equal(2, loads)
  end)

  it("is not waited for when it was loaded just before the wait began", function()
    module()
    local first = requirers(1)[1]
    local calls = 0
    local other = task.spawn(function()
      debug.sethook(function()
        calls = calls + 1
        if calls ~= 2 then return end -- require, what waits in it
        open(function() return "soup" end)
        first:join(TIMEOUT)
      end, "c")
      local result = require(name)
      debug.sethook()
      return result
    end)
    assert.equal("soup", (other:join(TIMEOUT)))
    assert.equal(1, loads)
  end)

  it("can be seen in the list of tasks", function()
    module()
    local list = requirers(2)
    local waits = {}
    for _, t in ipairs(require("green.debug").tasks()) do waits[t.task or 0] = t.waits_for end
    assert.equal("require " .. name, waits[list[2]])
    open(function() return 1 end)
    for i = 1, 2 do list[i]:join(TIMEOUT) end
  end)

  -- A module that joined a task which requires that module waited for itself, for ever. Who would close the circle raises.
  describe("whose loading joins a task that requires it", function()
    local ways = {
      ["joins"] = function(fn) return task.spawn(fn):join() end,
      ["waits for"] = function(fn)
        local one = task.spawn(fn)
        one:wait()
        return one:join()
      end,
      ["joins what joins"] = function(fn)
        return task.spawn(function() return task.spawn(fn):join() end):join()
      end,
      ["has in a group"] = function(fn)
        local result
        task.group(function(g) g:spawn(function() result = fn() end) end)
        return result
      end,
      ["asks by task.single for"] = function(fn) return task.single({}, fn) end,
      ["joins, when it waits already,"] = function(fn)
        local one = waiting(task.spawn(fn))
        return one:join()
      end,
    }
    for how, wait_for in pairs(ways) do
      it("raises EDEADLK, when it " .. how .. " it", function()
        package.preload[name] = function()
          loads = loads + 1
          return wait_for(function() return require(name) end)
        end
        for _ = 1, 2 do
          local err = failure(require, name)
          assert.equal("EDEADLK", err.code)
          assert.matches("being loaded", err.message)
        end
        assert.equal(2, loads)
        package.preload[name] = function() return "soup" end
        assert.equal("soup", (require(name)))
      end)
    end

    it("raises EDEADLK, by way of another module and its task", function()
      local other = name .. ".other"
      package.preload[name] = function() return (require(other)) end
      package.preload[other] = function() return task.spawn(require, name):join() end
      local err = failure(require, name)
      assert.same({ "EDEADLK", "require" }, { err.code, err.op })
      local one = task.spawn(require, other)
      assert.equal("EDEADLK", failure(one.join, one, TIMEOUT).code)
      package.preload[other] = nil
    end)

    it("does not, where the task has the module already, or gives up", function()
      package.preload[name] = function()
        local one = task.spawn(function() return task.deadline(60, task.sleep, 0) end)
        one:join()
        package.loaded[name] = "half"
        return task.spawn(require, name):join() .. " and half"
      end
      assert.equal("half and half", (require(name)))
    end)
  end)

  -- What requires itself overflows the stack under lua, and so it does here, in one task or in several.
  it("requires itself in a circle", function()
    local CHAIN = { ["a.lua"] = "print(pcall(require, 'm'))", ["m.lua"] = "return require 'n'", ["n.lua"] = "return require 'm'" }
    for _, command in ipairs { "lua5.4", "$lua" } do
      assert.matches("^false\t.*stack overflow", (sh(command .. " a.lua", CHAIN)))
    end
    local out = sh("$lua a.lua", {
      ["a.lua"] = [[
        local task = require "green.task"
        local one, other = task.spawn(require, "m"), task.spawn(require, "n")
        print(pcall(one.join, one, 60))
        print(pcall(other.join, other, 60))
        package.preload.n = function() return "n" end
        print(require "m")]],
      ["m.lua"] = "require('green.task').sleep(0.001) return require 'n'",
      ["n.lua"] = "require('green.task').sleep(0.001) return require 'm'",
    })
    assert.matches("^false\t.*stack overflow\nfalse\t.*stack overflow\nn\t", out)
    assert.is_nil(out:find("deadlock", 1, true))
  end)
end)
