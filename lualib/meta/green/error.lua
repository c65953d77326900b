---@meta green.error
-- SPDX-License-Identifier: MIT

---The errors that `green.*` raises, made from Lua.
---Nothing here waits.
---```lua
---local err = require "green.error"
---
---local function load(user)
---  if not user then err.raise("session.load", "ENOTFOUND", "no user %d", 7) end
---end
---
---local ok, why = pcall(load, nil)
---print(err.is(why, "ENOTFOUND"), why) --> true  session.load: no user 7
---```
---@class green.error
local err = {}

---`tostring` of it is its message.
---@class green.error.object
---@field code string for programs: "ECONNREFUSED"
---@field message string for people: "op: what and why"
---@field op string what failed: "http.get"
---@field status? integer the HTTP status a server answers with when nobody catches it

---An error object; its message is "op: " and the formatted rest.
---```lua
---local err = require "green.error"
---local why = err.new("ovens.light", "ENOGAS", "oven %d", 3)
---print(why, why.code) --> ovens.light: oven 3  ENOGAS
---```
---@param op string what failed
---@param code string
---@param format string as for string.format
---@param ... any
---@return green.error.object
function err.new(op, code, format, ...) end

---Raises one.
---Raises: the error object.
---@param op string what failed
---@param code string
---@param format string as for string.format
---@param ... any
function err.raise(op, code, format, ...) end

---Raises what a server answers by itself, with this HTTP status; the message goes to the client as it is.
---Raises: the error object.
---```lua
---local err = require "green.error"
---app:get("/cellar", function() err.status(403, "cellar", "EACCES", "not for %s", "guests") end)
---local answer = app:inject "/cellar"
---print(answer.status, answer:json().error) --> 403  not for guests
---```
---@param status integer 400..599
---@param op string what failed
---@param code string
---@param format string as for string.format
---@param ... any
function err.status(status, op, code, format, ...) end

---Is the value an error object (with this code)?
---@param value any
---@param code? string
---@return boolean
function err.is(value, code) end

---Raises a plain message that points at the line that called into the module that calls this (however deep in the library
---that is): for arguments nobody may pass.
---Raises: the message, a string.
---```lua
---local err = require "green.error"
---local function check(n)
---  if n < 0 then err.misuse("bake: a number >= 0 expected, got %d", n) end
---end
---print((pcall(check, -1))) --> false
---```
---@param format string as for string.format
---@param ... any
function err.misuse(format, ...) end

---A check for the methods of a class: `check(self, "bake")` raises "use oven:bake(...), not oven.bake(...)" when `self` is none.
---```lua
---local Oven = {}
---Oven.__index = Oven
---local check = require "green.error".receiver(Oven, "oven")
---function Oven:bake() check(self, "bake") end
---print(select(2, pcall(Oven.bake)):match "use.*") --> use oven:bake(...), not oven.bake(...)
---```
---@param class table the metatable
---@param name string what people call an instance
---@return fun(self: any, method: string)
function err.receiver(class, name) end

return err
