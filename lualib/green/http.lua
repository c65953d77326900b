-- SPDX-License-Identifier: MIT
-- The HTTP client's public functions; green.http.request does the work.
local cookies = require "green.http.cookies"
local err = require "green.error"
local forward = require "green.http.forward"
local options = require "green.options"
local request = require "green.http.request"
local targets = require "green.http.target"
local transport = require "green.http.transport"
local url = require "green.url"

local METHODS = { "get", "post", "put", "patch", "delete", "head" }
local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function check_method(method)
  if type(method) ~= "string" or not method:find(TOKEN) then err.misuse("http.request: method: a method name expected") end
  method = method:upper()
  if method == "CONNECT" then err.misuse("http.request: CONNECT makes a tunnel, not a request") end
  return method
end

local Client = { __name = "green.http.client" }
Client.__index = Client

local is_client = err.receiver(Client, "client")
local M = { cookies = cookies.new, stats = transport.stats }

function M.request(method, target, opts) return request.run(request.DEFAULTS, check_method(method), target, opts) end

function Client:request(method, target, opts)
  is_client(self, "request")
  return request.run(self.settings, check_method(method), target, opts)
end

for _, name in ipairs(METHODS) do
  local method = name:upper()
  M[name] = function(target, opts) return request.run(request.DEFAULTS, method, target, opts) end
  Client[name] = function(self, target, opts)
    is_client(self, name)
    return request.run(self.settings, method, target, opts)
  end
end

-- ---- downloads ----

function M.download(target, path, opts) return require "green.http.download".run("http.download", request.DEFAULTS, target, path, opts) end

function Client:download(target, path, opts)
  is_client(self, "download")
  return require "green.http.download".run("http.download", self.settings, target, path, opts)
end

-- ---- clients ----

local function jar_of(given)
  if not given then return nil end
  if given == true then return cookies.new() end
  if not cookies.is(given) then err.misuse("http.client: option 'cookies': true, or what http.cookies gave, expected") end
  return given
end

function M.client(settings)
  settings = request.normal("http.client", settings, request.SETTINGS)
  local copy = {}
  for name, value in pairs(request.DEFAULTS) do copy[name] = value end
  for name, value in pairs(settings) do copy[name] = value end
  copy.cookies = jar_of(copy.cookies)
  if copy.base_url then
    local parts, credentials = targets.check("http.client", copy.base_url)
    targets.check_tls("http.client", parts, copy, copy.redirects)
    copy.base_url, copy.auth = url.build(parts), copy.auth or credentials
  end
  return setmetatable({ settings = copy }, Client)
end

function M.forward(headers) return forward(options.argument("http.forward", "headers", headers, "table")) end

return M
