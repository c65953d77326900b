-- SPDX-License-Identifier: MIT
---@meta

---The request as handlers see it. What the client got wrong raises an error object with a `status`, answered by the server.
---Fields of your own may be assigned (`req.user = ...`).
---@class green.request
---@field method string
---@field target string as sent: path and query, escaped
---@field path string without the query, percent-decoded
---@field raw_path string without the query, escaped
---@field query_string string raw, "" if none
---@field query table<string, string> the first value of each name; more than 1000 fields: 413; bad escapes: 400
---@field query_pairs { [1]: string, [2]: string }[] all of them in order
---@field params table<string, string> of the route, percent-decoded
---@field headers table<string, string> by lower-case name
---@field cookies table<string, string> the first of each name, not decoded
---@field remote string
---@field scheme string
---@field id string
---@field version string
---@field keep_alive boolean
---@field ctx table empty at first: what middleware and handlers share
---@field user any nil until somebody assigns it
local Request = {}

---One header by lower-case name.
---@param name string
---@return string?
function Request:header(name) end

---The whole body. Waits. Larger than `max` bytes (1 MB): 413.
---@param max? integer
---@return string
function Request:body(max) end

---The body as it comes. Waits between pieces; no limit.
---
---    for bytes in req:chunks() do size = size + #bytes end
---@return fun(): string?
function Request:chunks() end

---The body as JSON, whatever its Content-Type. Waits. 400 with the position when it is not JSON.
---@param max? integer bytes (1 MB)
---@return any
function Request:json(max) end

---The fields of an urlencoded or multipart form: the first of each name, and all in order. Files are tables. Waits.
---Another type: 415; more than 1000 fields (100 parts) or `max` bytes: 413; bad escapes: 400.
---@param max? integer bytes, of all fields together (1 MB)
---@return table<string, string|{ filename: string, type: string?, body: string }>
---@return { [1]: string, [2]: any }[]
function Request:form(max) end

---@class green.part
---@field name string
---@field filename? string without directories; nil for plain fields
---@field headers table<string, string> by lower-case name
local Part = {}

---The part as it comes. Waits.
---@return fun(): string?
function Part:chunks() end

---The whole part. Waits. Larger than `max` bytes (1 MB): 413.
---@param max? integer
---@return string
function Part:body(max) end

---A multipart body part by part, never held as a whole; what is not read of a part is skipped. Waits.
---Not multipart: 415; malformed: 400; more than 100 parts: 413.
---
---    for part in req:parts() do
---      for bytes in part:chunks() do save(part.filename, bytes) end
---    end
---@return fun(): green.part?
function Request:parts() end

---All values of a query parameter.
---@param name string
---@return string[]
function Request:query_all(name) end
