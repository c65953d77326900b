-- SPDX-License-Identifier: MIT
---@meta

---Testing an app without sockets.
local test = {}

---@class green.testspec
---@field method? string "GET"
---@field path? string "/": with its query, escaped as on the wire
---@field headers? table<string, string|string[]>
---@field body? string|string[]|fun(): string? whole, in pieces, or an iterator of pieces
---@field json? any body and Content-Type
---@field form? table<string, any> body and Content-Type
---@field remote? string
---@field scheme? string

---@class green.testanswer
---@field status integer
---@field headers table<string, string|string[]> by lower-case name
---@field body string
---@field error? any what the handler raised
---@field traceback? string
local Answer = {}

---@return any
function Answer:json() end

---A request with the fields and methods of the server's.
---@param spec green.testspec
---@return green.request
function test.request(spec) end

---`app:inject(spec)`. Waits as the handlers do.
---@param app green.app
---@param spec string|green.testspec
---@return green.testanswer
function test.inject(app, spec) end

return test
