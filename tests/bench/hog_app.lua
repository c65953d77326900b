-- SPDX-License-Identifier: MIT
-- The app of tests/bench/hogs: a fast answer, and endless loops to put beside it.
local app = require("green.app").new { cpu_limit = 1000, request_timeout = 1000 }

local function hog() while true do end end

app:get("/fast", function() return "Hello, World!" end)
app:get("/hog/loop", hog)
app:get("/hog/coroutine", function() coroutine.wrap(hog)() end)
app:get("/hog/sort", function() table.sort({ 1, 2 }, hog) end)
app:get("/hog/pcall", function() while true do pcall(hog) end end)

return app
