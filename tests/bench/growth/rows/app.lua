-- SPDX-License-Identifier: MIT
-- Applications that change while they are served.
local new_app = require "green.app".new

local function served(add)
  return function(n)
    local app = new_app()
    app:get("/", function() return "here" end)
    local server = app:listen "127.0.0.1:0"
    return function()
      for i = 1, n do add(app, i) end
    end, function() server:abort() end
  end
end

local function nop() return "here" end

return {
  { name = "app: n routes added while it is served", start = 100, prepare = served(function(app, i) app:get("/r" .. i, nop) end) },
  { name = "app: n routes with parameters", start = 100, prepare = served(function(app, i) app:get("/r" .. i .. "/:x", nop) end) },
  { name = "app: n middlewares", start = 100, prepare = served(function(app)
    app:use(function(req, next) return next(req) end)
  end) },
}
