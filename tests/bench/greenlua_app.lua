-- SPDX-License-Identifier: MIT
--
-- The greenlua side of the bench, written as a user would write it: no
-- handler here knows that it is suspended while it sleeps or fetches.
local task = require "green.task"
local http = require "green.http"
local app = require "green.app".new()

local UPSTREAM = os.getenv "UPSTREAM"

app:get("/plaintext", function(req)
    return "Hello, World!"
end)

app:get("/json", function(req)
    return { message = "Hello, World!" }
end)

app:get("/sleep", function(req)
    task.sleep(0.01)
    return "Hello, World!"
end)

app:get("/hold", function(req)
    task.sleep(30)
    return "Hello, World!"
end)

app:get("/proxy", function(req)
    return http.get(UPSTREAM).body
end)

return app
