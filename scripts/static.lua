-- SPDX-License-Identifier: MIT
-- Files: a folder as it is (index.html, types, ETag, ranges, .gz siblings, nothing outside it), one file under a name
-- of its own, and middleware around both. The folder: build/greenlua scripts/static.lua [FOLDER]; else this script's.
local app = require "green.app".new()
local response = require "green.response"

local here = arg[0]:match "^(.*)/[^/]*$" or "."

app:use(function(req, next)
  return response.of(next(req)):header("x-frame-options", "DENY")
end)

app:static("/files", arg[1] or here, { max_age = 60 })

app:get("/source", function()
  return response.file(arg[0], { type = "text/plain; charset=utf-8", download = "static.lua" })
end)

return app
