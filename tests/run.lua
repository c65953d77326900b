-- SPDX-License-Identifier: MIT
-- Runs busted inside greenlua: build/greenlua tests/run.lua [busted options] [files or folders]
-- Without files, every *_spec.lua below tests/.
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

require("green.debug").report_stalls(false) -- specs run other programs, which blocks

require "busted.runner" { standalone = false }
