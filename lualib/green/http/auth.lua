-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes the field Authorization of the option `auth`: { user, password }, or { bearer = token }.
local base64 = require "green.http.base64"
local err = require "green.error"

local M = {}

--- Raises misuse by `op` if the option is no such table.
function M.check(op, auth)
  local is_basic = type(auth[1]) == "string" and (auth[2] == nil or type(auth[2]) == "string") and auth.bearer == nil
  local is_bearer = type(auth.bearer) == "string" and auth[1] == nil
  if not is_basic and not is_bearer then err.misuse("%s: option 'auth': { user, password } or { bearer = token } expected", op) end
  if is_basic and auth[1]:find(":", 1, true) then err.misuse("%s: option 'auth': a user's name has no ':'", op) end
end

function M.basic(user, password) return "Basic " .. base64.encode(user .. ":" .. (password or "")) end

--- Returns the value of the field.
function M.field(auth) return auth.bearer and "Bearer " .. auth.bearer or M.basic(auth[1], auth[2]) end

return M
