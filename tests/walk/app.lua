-- SPDX-License-Identifier: MIT
-- The handler of the walk in host/README.md: it waits for an HTTP answer inside a sort comparator, until a deadline. /end ends the
-- program.
local http, net, task = require "green.http", require "green.net", require "green.task"

local silent = net.listen "127.0.0.1:0" -- accepts, and never answers

return function(req)
  if req.path == "/end" then os.exit(0) end
  task.deadline(0.2, table.sort, { 2, 1 }, function(a, b)
    return http.get("http://" .. silent:address() .. "/").status < a + b
  end)
end
