-- SPDX-License-Identifier: MIT
-- The app of tests/bench/hogs: a fast answer, busy requests that never end, and how far each of those has come.
local app = require("green.app").new { cpu_limit = 1e6, request_timeout = 1e6 }
local rounds = {}

app:get("/fast", function() return "Hello, World!" end)

app:get("/busy/:kind", function(req)
  local i = #rounds + 1
  rounds[i] = 0
  local function busy()
    while true do
      for _ = 1, 1000 do end
      rounds[i] = rounds[i] + 1
    end
  end
  if req.params.kind == "sort" then table.sort({ 1, 2 }, busy) end
  busy()
end)

app:get("/rounds", function() return table.concat(rounds, " ") end)

return app
