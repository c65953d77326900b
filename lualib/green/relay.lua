-- SPDX-License-Identifier: MIT
-- Internal.
-- The answer of something else (another server, an app in a test) as an answer of ours: its status, its body, and of its headers those
-- that are meant for the other end (RFC 9110, 7.6.1).
local response = require "green.response"

local HOP = {
  connection = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  te = true, trailer = true, ["transfer-encoding"] = true, upgrade = true, date = true,
}

-- What Connection lists is between the two of them as well.
local function hop_by_hop(headers)
  local named = headers.connection
  if type(named) == "table" then named = table.concat(named, ",") end
  local hop = setmetatable({}, { __index = HOP })
  for name in (named or ""):gmatch "[^,%s]+" do hop[name:lower()] = true end
  return hop
end

local M = {}

--- headers: lower-case name -> string or list; body: a string, or function(out) that writes it.
function M.response(status, headers, body)
  local res, hop = response.status(status), hop_by_hop(headers)
  for name, value in pairs(headers) do
    if type(value) == "table" and #value == 1 then value = value[1] end
    if not hop[name] and (name ~= "content-length" or type(body) == "function" or body == "") then res:header(name, value) end
  end
  if type(body) == "function" then res.stream = body
  elseif body ~= "" then res.body = body end
  return res
end

return M
