-- SPDX-License-Identifier: MIT
-- Asserts of a call that never comes to an end by itself: others run meanwhile, for so many slices, and a cancel ends it.
local assert = require "luassert"
local task = require "green.task"

return function(call, slices)
  local t = task.spawn(call)
  for _ = 1, slices do task.sleep(0) end -- each of them a slice of the call
  assert.not_equal("done", t:status())
  t:cancel()
  local ok, err = pcall(t.join, t)
  assert.is_false(ok)
  assert.equal("ECANCELED", err.code)
end
