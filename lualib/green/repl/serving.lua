-- SPDX-License-Identifier: MIT
-- greenlua -i app.lua: the app is served while a person types, and may be put in place of itself by a newer one.
local native = require "green.http.native"
local serve = require "green.serve"

local M = {}

local function handle(current, req)
  if type(current) == "function" then return current(req) end
  return current:handle(req)
end

-- Requests ask for the app each time, so that another one may take its place.
local function listener(state)
  local function dispatch(req) return handle(state.app, req) end
  return function(address)
    local app = state.app
    local server = native.listen(address, dispatch, type(app) == "table" and app.options or nil)
    if type(app) == "table" then app:served_on(server:address()) end
    return server
  end
end

local function reloader(state, opts)
  return function()
    local chunk = assert(loadfile(opts.name))
    local app = chunk(table.unpack(arg or {}))
    if type(app) ~= "function" and not (type(app) == "table" and require("green.app").is(app)) then
      error(opts.name .. ": it does not return an app any more", 0)
    end
    if type(app) == "table" then app:served_on(state.address) end
    state.app = app
  end
end

--- Serves opts.app on opts.listen: { app() -> what is served, reload(), stop() }; or nil, and it was said why.
function M.start(opts)
  local state = { app = opts.app }
  local dev = opts.dev and require "green.dev" -- it reloads by itself
  local served = {
    name = opts.name, app = function() return dev and dev.app() or state.app end,
    reload = opts.name ~= "-" and (dev and dev.reload or reloader(state, opts)) or nil,
  }
  local open = dev and function(address) return dev.listen(state.app, address) end or listener(state)
  local servers = serve.start(open, opts, served)
  if not servers then return nil end
  state.address = servers[1]:address()
  function served.stop()
    if dev then dev.stop() end
    serve.stop(servers, opts.grace)
  end
  return served
end

return M
