-- SPDX-License-Identifier: MIT
-- Functions of long texts hold up nobody (host/stdlib/text.h, utf8.h, load.h): others run meanwhile, and they end with their task. A
-- text of 20 MB, loaded, held everybody up for 2 s.
local build = require "build"
local green_debug = require "green.debug"
local task = require "green.task"

-- One call takes several slices.
local SIZE = 16 << 20
local long = ("a"):rep(SIZE)
local longer = build.sanitized and long or long:rep(6) -- for what is quick
local code = ("x = y + 1\n"):rep(400000)

local functions = {
  ["string.rep"] = function() return ("ab"):rep(SIZE) end,
  ["string.lower"] = function() return long:lower() end,
  ["string.upper"] = function() return long:upper() end,
  ["string.reverse"] = function() return long:reverse() end,
  ["utf8.len"] = function() return utf8.len(longer) end,
  ["utf8.offset"] = function() return utf8.offset(longer, #longer) end,
  ["load"] = function() return assert(load(code)) end,
  ["load of a reader"] = function()
    local parts = { code }
    return assert(load(function() return table.remove(parts) end))
  end,
}

describe("a long text", function()
  for name, fn in pairs(functions) do
    it("uses up several slices in one call: " .. name, function()
      local cuts
      repeat -- a slow machine may look too late now and then
        collectgarbage()
        local before = green_debug.preempted()
        fn()
        cuts = green_debug.preempted() - before
      until cuts > 1 -- one may be at the first instruction after the call
    end)
  end

  it("lets a call that takes long be cancelled", function()
    local t = task.spawn(function()
      for _ = 1, math.huge do long:lower() end
    end)
    task.sleep(0)
    t:cancel()
    local ok, err = pcall(t.join, t)
    assert.is_false(ok)
    assert.equal("ECANCELED", err.code)
  end)

  it("that is loaded has the value and the message that it has alone", function()
    local n = 0
    local other = task.spawn(function()
      while n >= 0 do
        n = n + 1
        task.sleep(0)
      end
    end)
    local f = assert(load(code .. "return 42", "=code", "t", { y = 1 }))
    local failed, message = load(code .. "?", "=code")
    n = -1
    other:join()
    assert.equal(42, f())
    assert.is_nil(failed)
    assert.equal("code:400001: unexpected symbol near '?'", message)
  end)
end)
