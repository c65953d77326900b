-- SPDX-License-Identifier: MIT
-- Runs busted inside greenlua: build/greenlua tests/run.lua [busted options] [files or folders]
-- Without files, every *_spec.lua below tests/.
local task = require "green.task"

local here = arg[0]:match "^(.*)/[^/]*$" or "."

package.path = here .. "/?.lua;" .. package.path

local function names_files(args)
  for _, value in ipairs(args) do
    if value:match "%.lua$" or value:match "^tests" or value:match "^%.?%.?/" then return true end
  end
  return false
end

if not names_files(arg) then table.insert(arg, here) end
table.insert(arg, 1, "--helper=" .. here .. "/helper.lua")

-- A test that waits for what never comes fails after LIMIT, and says what it waited for.
local LIMIT = 120 -- seconds: many times the slowest test on the slowest build
local trail = os.getenv "TRAIL" and assert(io.open(os.getenv "TRAIL", "a")) -- the last line is what a process that died was at
if trail then trail:setvbuf "line" end
local new_core = require "busted.core"
package.loaded["busted.core"] = function(...)
  local busted = new_core(...)
  local safe = busted.safe
  function busted.safe(descriptor, run, element)
    if descriptor ~= "it" or run ~= element.run then return safe(descriptor, run, element) end
    if trail then trail:write(("%s:%d: %s\n"):format(element.trace.short_src, element.trace.currentline, element.name:gsub("\n", " "))) end
    return safe(descriptor, function() return task.deadline(LIMIT, run) end, element)
  end
  return busted
end

require("green.debug").report_stalls(false) -- specs run other programs, which blocks

require "busted.runner" { standalone = false }
