-- SPDX-License-Identifier: MIT
-- Internal.
-- The answer of something else (another server, an app in a test) as an answer of ours: its status, its body, and of its headers those
-- that are meant for the other end (RFC 9110, 7.6.1).
local forward = require "green.http.forward"
local response = require "green.response"

local M = {}

--- headers: lower-case name -> string or list; body: a string, or function(out) that writes it.
function M.response(status, headers, body)
  local res, kept = response.status(status), forward(headers)
  kept.date = nil -- the server's own
  if type(body) == "function" or body == "" then kept["content-length"] = headers["content-length"] end
  for name, value in pairs(kept) do
    if type(value) == "table" and #value == 1 then value = value[1] end
    res:header(name, value)
  end
  if type(body) == "function" then res.stream = body
  elseif body ~= "" then res.body = body end
  return res
end

--- Writes the body of a response of the client's to `out`, piece by piece, and its trailers.
function M.pass_on(got, out)
  for piece in got:chunks() do out:write(piece) end
  local trailers, values = got:trailers(), {}
  if not trailers then return end
  for name in pairs(trailers) do values[name] = trailers:all(name) end
  out:trailers(values)
end

return M
