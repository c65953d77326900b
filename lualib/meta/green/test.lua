---@meta green.test
-- SPDX-License-Identifier: MIT

---Testing an app without sockets.
---```lua
---local test = require "green.test"
---app:post("/orders", function(req) return { got = req:json().item } end)
---local answer = test.inject(app, { method = "POST", path = "/orders", json = { item = "tea" } })
---print(answer.status, answer:json().got) --> 200  tea
---```
---@class green.test
local test = {}

---@class green.testspec
---@field method? string "GET"
---@field path? string "/": with its query, escaped as on the wire
---@field headers? table<string, string|string[]>
---@field body? string|string[]|fun(): string? whole, in pieces, or an iterator of pieces
---@field json? any body and Content-Type
---@field form? table<string, any> body and Content-Type
---@field remote? string "127.0.0.1:1"
---@field scheme? string "http"; with `tls` "https"
---@field tls? green.request.tls
---@field trailers? table<string, string|string[]> the fields behind the body

---@class green.testanswer
---@field status integer
---@field headers table<string, string|string[]> by lower-case name
---@field body string
---@field early_hints table<string, string|string[]>[] the headers of each 103 that was sent before it
---@field trailers? table<string, string> the fields behind a streamed body, by lower-case name
---@field error? any what the handler raised
---@field traceback? string
local Answer = {}

---The body decoded from JSON.
---Does not wait.
---Raises: EJSON when it is none.
---@return any
function Answer:json() end

---A request with the fields and methods of the server's.
---Does not wait.
---Raises: an error with `status` 400 for a path no server would take.
---```lua
---local req = test.request { path = "/orders?open=1" }
---print(req.path, req.query.open) --> /orders  1
---```
---@param spec green.testspec
---@return green.request
function test.request(spec) end

---Runs one request through an app; what the handler raises is in the answer.
---Waits as the handler does.
---@param app green.app
---@param spec string|green.testspec a path, or more
---@return green.testanswer
function test.inject(app, spec) end

return test
