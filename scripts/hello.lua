-- SPDX-License-Identifier: MIT
-- The smallest server: a script that returns a function. It is called for each request, and what it returns is the
-- answer. Upvalues live as long as the process, and no locks are needed: tasks take turns only where they wait.
--
--     build/greenlua scripts/hello.lua
--     curl 'localhost:8080/?name=Ann'
local count = 0

return function(req)
  count = count + 1
  return ("Hello, %s! You are visitor %d.\n"):format(req.query.name or "world", count)
end
