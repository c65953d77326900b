---@meta
-- SPDX-License-Identifier: MIT

--- The errors `green.*` raises, made from Lua. Nothing here waits.
---
---     local err = require "green.error"
---     if not user then err.raise("session.load", "ENOTFOUND", "no user %d", id) end
---@class green.error
local err = {}

---@class green.error.object `tostring` of it is its message
---@field code string for programs: "ECONNREFUSED"
---@field message string for people: "op: what and why"
---@field op string what failed: "http.get"

--- An error object; its message is "op: " and the formatted rest.
---@param op string
---@param code string
---@param format string as for string.format
---@return green.error.object
function err.new(op, code, format, ...) end

--- Raises one.
---@param op string
---@param code string
---@param format string as for string.format
function err.raise(op, code, format, ...) end

--- Raises what a server answers by itself, with this HTTP status; the message goes to the client as it is.
---@param status integer
---@param op string
---@param code string
---@param format string as for string.format
function err.status(status, op, code, format, ...) end

--- Is the value an error object (with this code)?
---@param value any
---@param code? string
---@return boolean
function err.is(value, code) end

--- Raises a plain message, positioned at the line that called into the module that calls this.
---@param format string as for string.format
function err.misuse(format, ...) end

return err
