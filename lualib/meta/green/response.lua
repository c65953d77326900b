-- SPDX-License-Identifier: MIT
---@meta

---Answers that say more than a string or a table.
---
---    return response.json({ id = 7 }, 201):header("location", "/orders/7")
local response = {}

---@class green.Response
---@field status integer 200..599
---@field headers table<string, string|string[]> by lower-case name
---@field body? string
---@field json? any
---@field stream? fun(out: green.writer)
---@field settle? fun(res: green.Response, req: green.request): green.answer replaces the response after all middleware
local Response = {}

---@class green.writer
local Writer = {}

---Waits while the client is slow; raises when it is gone.
---@param bytes string
function Writer:write(bytes) end

---Sets a header; a list is sent as several lines, nil removes it. Line breaks and NUL are refused.
---@param name string
---@param value string|number|string[]|nil
---@return green.Response self
function Response:header(name, value) end

---@class green.cookieopts
---@field path? string "/"
---@field domain? string
---@field max_age? number seconds; 0 deletes the cookie; absent: until the browser closes
---@field secure? boolean only over TLS (false)
---@field http_only? boolean hidden from scripts (true)
---@field same_site? "Lax"|"Strict"|"None" "Lax"; None needs secure

---Adds a cookie. A value that would need quoting is refused: encode it first.
---@param name string
---@param value string
---@param opts? green.cookieopts
---@return green.Response self
function Response:cookie(name, value, opts) end

---@param s string|number
---@param status? integer 200
---@return green.Response
function response.text(s, status) end

---@param s string|number
---@param status? integer 200
---@return green.Response
function response.html(s, status) end

---@param value any nil is null
---@param status? integer 200
---@param headers? table<string, string|string[]>
---@return green.Response
function response.json(value, status, headers) end

---@param status integer
---@param headers? table<string, string|string[]>
---@return green.Response
function response.status(status, headers) end

---@param url string
---@param status? 301|302|303|307|308 303
---@return green.Response
function response.redirect(url, status) end

---@class green.fileopts
---@field root? string directory the path is relative to and must stay in, links included; no dotfiles
---@field dotfiles? boolean
---@field type? string Content-Type; else by extension
---@field download? boolean|string save as the file's name, or this one
---@field gzip? boolean send FILE.gz to clients that take it (true)
---@field max_age? number seconds for Cache-Control
---@field status? integer 200
---@field headers? table<string, string|string[]>

---A file, with what the request asks for: 304, a range, gzip; 404 if it is not there. Read when the answer is sent.
---@param path string
---@param opts? green.fileopts
---@return green.Response
function response.file(path, opts) end

---The body is what fn writes. Raising in it breaks the connection off.
---@param fn fun(out: green.writer)
---@param opts? { status: integer?, type: string?, headers: table? }
---@return green.Response
function response.stream(fn, opts) end

---@class green.events
local Events = {}

---Sends an event. Waits while the client is slow; raises when it is gone.
---@param event string|{ data: any, event: string?, id: string|integer|nil, retry: number? } data that is a table goes as JSON; retry in seconds
function Events:send(event) end

---A line that clients ignore: keeps a quiet connection open.
---@param text? string
function Events:comment(text) end

---Server-sent events until fn returns.
---
---    return response.events(function(events)
---      for message in hub.subscribe "news" do events:send { data = message } end
---    end)
---@param fn fun(events: green.events)
---@return green.Response
function response.events(fn) end

---Any answer of a handler as a response: what middleware needs to change one.
---@param answer green.answer
---@return green.Response
function response.of(answer) end

return response
