-- SPDX-License-Identifier: MIT
-- Internal.
-- What a redirect makes of a request, as WHATWG's fetch has it (HTTP-redirect fetch). A request is { method, url, parts (of
-- the url), headers (a flat list of names and values), body (as of green.http.body), own (header names of the client, lower case),
-- away (it has left the origin that was asked for, though it may be back) }.
local base64 = require "green.http.base64"
local fault = require "green.error"
local url = require "green.url"

local LEADS_ON = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local OF_THE_BODY = { ["content-encoding"] = true, ["content-language"] = true, ["content-location"] = true, ["content-type"] = true }
local CREDENTIALS = { authorization = true, cookie = true, ["proxy-authorization"] = true, host = true }
local HARMLESS = { accept = true, ["accept-encoding"] = true, ["accept-language"] = true, ["user-agent"] = true }

local M = {}

local PORTS = { http = 80, https = 443 }

--- "https://h:443" of a URL's parts.
function M.origin(parts) return ("%s://%s:%d"):format(parts.scheme, parts.host, parts.port or PORTS[parts.scheme]) end

--- Where the answer leads to: the values of its Location headers, or nil when it leads nowhere.
function M.location(status, locations)
  return LEADS_ON[status] and #locations > 0 and locations or nil
end

local function without(headers, unwanted)
  local kept = {}
  for i = 1, #headers, 2 do
    if not unwanted(headers[i]:lower()) then table.move(headers, i, i + 1, #kept + 1, kept) end
  end
  return kept
end

-- The URL that is meant, with spaces and other letters than ASCII's escaped: servers write them as they are.
local function target(request, locations, fail)
  for i = 2, #locations do
    if locations[i] ~= locations[1] then fail("EPROTO", "it leads to two places, '%s' and '%s'", locations[1], locations[i]) end
  end
  local text = ((locations[1]:match "^%s*(.*)$"):match "^(.*%S)" or ""):gsub("[\0-\32\127]", url.encode)
  local front, rest = text:match "^([^/?#]*//[^/?#]*)(.*)$" -- the host has a way of its own to be in ASCII
  text = (front or "") .. (rest or text):gsub("[\128-\255]", url.encode)
  local ok, whole = pcall(url.resolve, request.url, text)
  if not ok and not fault.is(whole) then error(whole, 0) end
  if not ok then fail("EINVAL", "it leads to '%s': %s", text, whole.message) end
  local parts = url.parse(whole)
  if not PORTS[parts.scheme] or not parts.host then fail("EINVAL", "it leads to '%s': only http and https are followed", text) end
  parts.fragment = parts.fragment or request.parts.fragment
  return parts
end

local function is_changed_to_get(status, method)
  if status == 303 then return method ~= "GET" and method ~= "HEAD" end
  return (status == 301 or status == 302) and method == "POST"
end

--- The request that follows. fail(code, format, ...) raises.
function M.follow(request, status, locations, fail)
  local parts = target(request, locations, fail)
  local user, password = parts.user, parts.password
  parts.user, parts.password = nil, nil
  local next = {
    method = request.method, url = url.build(parts), parts = parts, headers = request.headers, own = request.own,
    body = request.body, away = request.away,
  }
  if is_changed_to_get(status, request.method) then
    next.method, next.body = "GET", nil
    next.headers = without(next.headers, function(name) return OF_THE_BODY[name] end)
  elseif request.body and request.body.once then
    fail("EINVAL", "it leads on, and the body cannot be sent a second time")
  end
  if M.origin(parts) ~= M.origin(request.parts) then
    next.away = true
    local own = request.own or {}
    next.headers = without(next.headers, function(name) return CREDENTIALS[name] or own[name] and not HARMLESS[name] end)
  end
  if user then
    next.headers = without(next.headers, function(name) return name == "authorization" end)
    table.move({ "Authorization", "Basic " .. base64.encode(user .. ":" .. (password or "")) }, 1, 2, #next.headers + 1, next.headers)
  end
  return next
end

return M
