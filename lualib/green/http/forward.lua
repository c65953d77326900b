-- SPDX-License-Identifier: MIT
-- Internal.
-- This file knows which headers an intermediary passes on (RFC 9110, 7.6.1). Headers about one connection, or about the framing of one
-- message, are made anew by the sender of each message.
local fault = require "green.error"

local HOP = {
  connection = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  te = true, trailer = true, ["transfer-encoding"] = true, upgrade = true, ["content-length"] = true, ["http2-settings"] = true, expect = true,
  host = true,
}

local function each_value(value)
  if type(value) == "table" then return table.concat(value, ",") end
  return tostring(value)
end

--- Returns a copy of headers (name -> value or list) with lower-case names. It lacks the headers that are meant for the next neighbour
--- only, and those that Connection names.
return function(headers)
  local copy, named = {}, {}
  for name, value in pairs(headers) do
    if type(name) ~= "string" then fault.misuse("http.forward: names of headers are strings, not %s", type(name)) end
    local lower = name:lower()
    if lower == "connection" then
      for word in each_value(value):gmatch "[^,%s]+" do named[word:lower()] = true end
    elseif not HOP[lower] then
      copy[lower] = value
    end
  end
  for name in pairs(named) do copy[name] = nil end
  return copy
end
