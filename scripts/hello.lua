-- SPDX-License-Identifier: MIT
-- The smallest server: a script that returns a function. It is called for each request, and what it returns is the
-- answer. Upvalues live as long as the process, and other requests may run between any two lines: what belongs together, to
-- count and to read the count, is one atomic step (greenlua doc task says what one may rely on).
--
--     build/greenlua scripts/hello.lua
--     curl 'localhost:8080/?name=Ann'
local task = require "green.task"

local count = 0

local function visit()
  count = count + 1
  return count
end

return function(req)
  return ("Hello, %s! You are visitor %d.\n"):format(req.query.name or "world", task.atomic(visit))
end
