-- SPDX-License-Identifier: MIT
-- Random structured programs against a model of what must happen: greenlua tests/machines/programs.lua [SEED [COUNT | SECONDSs]]
-- Every second one is shaken (host/core/shake.h). A failure names its seed; `programs.lua SEED 1` runs that one again.
local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local debug = require "green.debug"
local task = require "green.task"
local new_random = require "random"
local generate = require "generate"
local model = require "model"
local perform = require "perform"

local LIMIT = 60 -- seconds for one program, which takes some milliseconds: it hangs
local SIZE = 60 -- statements, at most

local seed = math.tointeger(tonumber(arg[1])) or os.time()
local budget = arg[2] or "1000"
local seconds = tonumber(budget:match "^(%d+)s$")
local count = seconds and math.huge or tonumber(budget)

local function describe(ok, value) return ok and ("returned %s"):format(value) or ("raised %s"):format(value) end

-- What is wrong with how it went, or nil.
local function compare(expected, ok, value, violations)
  if #violations > 0 then return violations[1] end
  if ok and not expected.ok then return ("it %s and had to fail"):format(describe(ok, value)) end
  if ok and expected.value and value ~= expected.value then return ("it %s, not %s"):format(describe(ok, value), expected.value) end
  if not ok and not expected.errors[value] then return ("it %s, which nothing in it does"):format(describe(ok, value)) end
end

-- What is left of it, or nil.
local function left(before)
  for _ = 1, 1000 do
    local same = true
    local after = debug.census()
    for name, n in pairs(before) do same = same and after[name] <= n end
    if same then return nil end
    task.sleep(0.001)
  end
  local out = {}
  for name, n in pairs(debug.census()) do
    if n > before[name] then out[#out + 1] = ("%s %d -> %d"):format(name, before[name], n) end
  end
  return "left behind: " .. table.concat(out, ", ")
end

local function try(number)
  local random = new_random(number)
  local program = generate.program(random, random:below(SIZE))
  local before, shaken = debug.census(), number % 2 == 0
  if shaken then debug.shake(number) end
  local guarded, ok, value, violations = pcall(task.deadline, LIMIT, perform, program)
  debug.shake(0)
  local wrong
  if not guarded then wrong = tostring(ok)
  elseif not ok and value == "EDEADLINE" and not model(program, {}).errors.EDEADLINE then wrong = "it hangs"
  else wrong = compare(model(program, {}), ok, value, violations) end
  wrong = wrong or left(before)
  if not wrong then return true end
  io.stderr:write(("seed %d: %s\n%s\nagain: greenlua %s %d 1\n"):format(number, wrong, generate.show(program, "  "), arg[0], number))
  return false
end

print(("random programs from seed %d"):format(seed))
local passed, failed, began = 0, 0, task.now()
while passed + failed < count and failed < 10 and not (seconds and task.now() - began > seconds) do
  if try(seed + passed + failed) then passed = passed + 1 else failed = failed + 1 end
end
print(("%d successes / %d failures / 0 errors / 0 pending : random programs from seed %d"):format(passed, failed, seed))
os.exit(failed == 0)
