-- SPDX-License-Identifier: MIT
-- The functions of host/stdlib do what the stock ones do: results and error texts of thousands of calls are those of lua5.4, byte for
-- byte (calls.lua makes the calls, from a seed that is printed when it matters). The long form, from a seed:
--
--   CALLS=1000000 SEED=4711 build/greenlua tests/run.lua tests/stdlib/same_spec.lua
local interpreter = require "interpreter"
local build = require "build"

local CALLS = tonumber(os.getenv "CALLS") or build.sanitized and 4000 or 20000
local SEED = tonumber(os.getenv "SEED") or os.time() % 1000000
local ROUND = 20000 -- calls of one process
local calls = debug.getinfo(1, "S").source:match "^@(.*)same_spec%.lua$" .. "calls.lua"

local function lines_of(program, seed, count, options)
  local pipe = assert(io.popen(("'%s' '%s' %d %d %s"):format(program, calls, seed, count, options or "")))
  local text = pipe:read "a"
  assert(pipe:close(), program .. " failed")
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

-- Where the two differ first, or nil.
local function difference(stock, ours)
  for i = 1, math.max(#stock, #ours) do
    if stock[i] ~= ours[i] then return ("lua5.4:   %s\ngreenlua: %s"):format(stock[i], ours[i]) end
  end
end

describe("as under lua5.4, from seed " .. SEED .. ":", function()
  it("calls of the standard library", function()
    for first = 0, CALLS - 1, ROUND do
      local seed, count = SEED + first // ROUND, math.min(ROUND, CALLS - first)
      local stock = lines_of("lua5.4", seed, count)
      assert.is_true(#stock >= count)
      local differs = difference(stock, lines_of(interpreter, seed, count))
      assert(not differs, ("SEED=%d CALLS=%d\n%s"):format(seed, count, differs))
    end
  end)

  it("the same calls, with tasks switched at random in them", function()
    local stock = lines_of("lua5.4", SEED, 1000)
    local differs = difference(stock, lines_of(interpreter, SEED, 1000, "shaken"))
    assert(not differs, ("SEED=%d shaken\n%s"):format(SEED, differs))
  end)
end)
