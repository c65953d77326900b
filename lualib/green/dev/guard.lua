-- SPDX-License-Identifier: MIT
-- Internal.
-- This file decides who may see what --dev shows. A web page that the developer visits can make its own name resolve to this machine (DNS
-- rebinding) and then read all answers. So only hosts are served whose names nobody else controls: localhost, loopback addresses, and
-- those that --listen named.
local response = require "green.response"
local url = require "green.url"

local M = {}
local named = {} -- host -> true
local every_address = false -- --listen named 0.0.0.0 or [::], which stand for every address

local function is_address(host) return host:find "^%[" ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil end

-- Returns the host of "host:port", as url.parse writes it, nil when the text is malformed.
local function host_of(text)
  local ok, parts = pcall(url.parse, "http://" .. text .. "/")
  return ok and not parts.user and parts.path == "/" and not parts.query and not parts.fragment and parts.host or nil
end

--- Allows the host of an address that --listen named.
function M.allow(address)
  if address:find "^unix:" then return end
  local host = host_of(address)
  if not host or host == "0.0.0.0" or host == "[::]" then every_address = true else named[host] = true end
end

function M.is_allowed(host)
  host = host_of(host)
  if not host then return false end
  return host == "localhost" or host == "[::1]" or host:find "^127%.%d+%.%d+%.%d+$" ~= nil or named[host] or every_address and is_address(host)
end

local function refusal(text) return response.text(text .. "\n", 403):header("x-content-type-options", "nosniff"):header("cache-control", "no-store") end

--- Returns the refusal of a request to a host that anybody may control, else nil. A request without a host passes: browsers always send one.
function M.refuse_host(req)
  local host = req:header "host"
  if not host or M.is_allowed(host) then return nil end
  return refusal(("greenlua --dev shows source code and variables, so it answers only for localhost, loopback addresses and the hosts "
    .. "that --listen named, not for '%s'."):format(host))
end

--- Returns the refusal of a request for --dev's own addresses that a page of another site makes, else nil.
function M.refuse_origin(req)
  local origin, site = req:header "origin", req:header "sec-fetch-site"
  local same = not origin or origin:lower() == req.scheme .. "://" .. (req:header "host" or ""):lower()
  if same and (not site or site == "same-origin" or site == "none") then return nil end
  return refusal "greenlua --dev tells its news to its own pages only."
end

return M
