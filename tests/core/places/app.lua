-- SPDX-License-Identifier: MIT
-- Serves the place whose code is in $PLACE (rows.lua), for places_spec.lua: under a CPU limit of 0.3 s at /cpu, under a deadline of 0.3 s
-- at /deadline, until its client leaves at /leave. /ping says how often it was begun, and how many are in it now.
local green_debug = require "green.debug"
local task = require "green.task"

local tools = setmetatable({}, { __index = _G })
function tools.hog() while true do end end

function tools.closing(fn) return setmetatable({}, { __close = fn }) end

function tools.hooked(fn, mask, count)
  debug.sethook(fn, mask, count)
  local x = tostring(1)
  x = x .. x
  return x
end

local place = assert(load(os.getenv "PLACE", "=place", "t", tools))()
local begun = 0

local function visit()
  begun = begun + 1 -- one at a time
  place()
  task.sleep(0) -- a place that has caught what ended it is ended here
end

local app = require "green.app".new()
app:get("/ping", function()
  local inside = 0
  for _, t in ipairs(green_debug.tasks()) do
    if t.path and t.path ~= "/ping" then inside = inside + 1 end
  end
  return { begun = begun, inside = inside }
end)
app:get("/cpu", visit, { cpu_limit = 0.3 })
app:get("/deadline", function() return task.deadline(0.3, visit) end, { cpu_limit = 1000 })
app:get("/leave", visit, { cpu_limit = 1000, cancel_on_disconnect = true })
return app
