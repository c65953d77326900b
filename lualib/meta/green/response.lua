---@meta green.response
-- SPDX-License-Identifier: MIT

---Answers that say more than a string or a table.
---Nothing here waits.
---Raises: an argument error for what no answer can be.
---```lua
---local response = require "green.response"
---return response.json({ id = 7 }, 201):header("location", "/orders/7")
---```
---@class green.response
local response = {}

---An answer.
---```lua
---local res = response.text("Tea is served", 201)
---  :header("location", "/orders/7")
---  :cookie("table", "12", { max_age = 3600 })
---print(res.status, res.headers.location) --> 201  /orders/7
---```
---@class green.Response
---@field status integer 200..599
---@field headers table<string, string|string[]> by lower-case name
---@field body? string
---@field json? any
---@field stream? fun(out: green.writer)
---@field live? boolean the stream is about its client: its head leaves at once
---@field settle? fun(res: green.Response, req: green.request): green.answer replaces the response after all middleware
local Response = {}

---What a streamed answer is written to.
---```lua
---return response.stream(function(out)
---  for i = 1, 3 do out:write(i .. "\n") end
---end)
---```
---@class green.writer
local Writer = {}

---Sends bytes.
---Waits while the client is slow.
---Raises: EPIPE or ECONNRESET when it is gone; ETIMEDOUT when it does not read; ECLOSED after the answer.
---@param bytes string
function Writer:write(bytes) end

---Sets the trailers, the fields that follow the body, in place of those that were set before: a checksum, or how it went. They are sent to
---clients that speak HTTP/1.1, when the response has no Content-Length; announce them in a header Trailer for clients that want to know.
---Does not wait.
---Raises: EINVAL for fields that steer or describe the message (Content-Type, Set-Cookie ...); ECLOSED after the answer.
---```lua
---return response.stream(function(out)
---  out:write "one\n"
---  out:trailers { ["X-Rows"] = 1 }
---end)
---```
---@param fields table<string, string|number|string[]>
function Writer:trailers(fields) end

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

---Plain text.
---```lua
---return response.text("no tea left", 404)
---```
---@param s string|number
---@param status? integer 200
---@return green.Response
function response.text(s, status) end

---HTML.
---```lua
---return response.html("<h1>" .. template.escape "Tom & Ann" .. "</h1>")
---```
---@param s string|number
---@param status? integer 200
---@return green.Response
function response.html(s, status) end

---A value as JSON.
---```lua
---return response.json({ error = "no tea left" }, 404)
---```
---@param value any nil is null
---@param status? integer 200
---@param headers? table<string, string|string[]>
---@return green.Response
function response.json(value, status, headers) end

---An answer without a body.
---```lua
---return response.status(304, { etag = '"7"' })
---```
---@param status integer
---@param headers? table<string, string|string[]>
---@return green.Response
function response.status(status, headers) end

---Sends the client elsewhere.
---```lua
---print(response.redirect("/orders/7").headers.location) --> /orders/7
---```
---@param url string
---@param status? 301|302|303|307|308 303
---@return green.Response
function response.redirect(url, status) end

---Sends the client to the same address over HTTPS, with 308: what was posted is posted there. For what comes in the clear to an app that is
---served over TLS as well; behind a proxy that ends TLS every request does, unless the proxy is one of the server's `trusted_proxies`.
---Raises: EINVAL (400) for a request without a Host.
---```lua
---app:use(function(req, next)
---  if req.scheme == "http" then return response.to_https(req, 8443) end
---  return next(req)
---end)
---local answer = app:inject { path = "/orders?page=2", headers = { host = "shop.example:8080" } }
---print(answer.status, answer.headers.location) --> 308  https://shop.example:8443/orders?page=2
---```
---@param req green.request
---@param port? integer 443
---@return green.Response
function response.to_https(req, port) end

---@class green.fileopts
---@field root? string directory the path is relative to and must stay in, links included; no dotfiles
---@field dotfiles? boolean
---@field type? string Content-Type; else by extension
---@field download? boolean|string save as the file's name, or this one
---@field precompressed? boolean send FILE.br, FILE.zst or FILE.gz to clients that take it, if it is not older than FILE (true)
---@field max_age? number seconds for Cache-Control
---@field status? integer 200
---@field headers? table<string, string|string[]>

---A file, with what the request asks for: 304 or 412 by its conditions, ranges (of several, up to 64 that do not overlap, each is
---a part of multipart/byteranges; else all of it), compressed neighbours; 404 if it is not there. Read when the answer is sent. What has no size of
---its own (files of /proc and /sys) is sent as it is now, without validators.
---Raises: when it is sent, EIO for a file that becomes shorter; EFBIG for more than 16 MB of unknown size; the system's others.
---```lua
---fs.write("menu.txt", "tea")
---app:get("/menu", function() return response.file("menu.txt", { max_age = 60 }) end)
---print(app:inject("/menu").body) --> tea
---```
---@param path string
---@param opts? green.fileopts
---@return green.Response
function response.file(path, opts) end

---An answer of any length: the body is what fn writes. Its head leaves with the first write (`out:write ""` will do); an error
---before that is answered as a handler's is, a later one breaks the connection off. fn's task is cancelled when its client leaves,
---unless `cancel_on_disconnect = false` (a route's option, or the request's).
---Does not wait; `fn` may.
---```lua
---return response.stream(function(out)
---  for i = 1, 3 do out:write(("%d\n"):format(i)) end
---end, { type = "text/csv" })
---```
---@param fn fun(out: green.writer)
---@param opts? { status: integer?, type: string?, headers: table? }
---@return green.Response
function response.stream(fn, opts) end

---@class green.proxyopts : green.http.settings
---@field forwarded? boolean tell the upstream the client's address, scheme and host in X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, in
---place of the client's own such headers; default true. false: the client's are passed on
---@field max_message? integer bytes of one message of a WebSocket, in either direction (1 MiB); beyond: closed with 1009

---The answer of another server to the same request (a gateway): its status, its headers except those about one connection, and its body, piece by
---piece as the client takes it, and its trailers; the request's body goes the other way in the same manner. A client that reads trailers
---(TE: trailers) asks the upstream for them, too. An upstream without a path is asked for the request's
---path and query, another one for exactly what it says. Redirects and coded bodies are passed on as they are. When the
---client leaves, the request to the upstream is given up, too. Headers set on this response come in place of the upstream's. The environment's
---proxies are not used.
---
---A request for a WebSocket makes two of them, and passes messages on, in both directions, until one side says goodbye, which the other is told.
---The upstream decides which pages and which protocol it accepts, and its refusal goes to the client. Of the options `auth`, `ca`, `headers`,
---`max_message`, `proxy`, `timeout`, `tls`, `unix` and `verify` mean something then.
---
---The client is answered 502 when the upstream does not answer, 504 when it is late, and the reason is logged. `timeout` is for the head and for each
---further piece.
---Does not wait; the server does, after all middleware.
---```lua
---app:get("/orders/:id", function(req) return response.proxy(site) end)
---print(app:inject("/orders/7"):json().item) --> soup
---```
---@param upstream string
---@param opts? green.proxyopts headers here come in place of the client's
---@return green.Response
function response.proxy(upstream, opts) end

---What server-sent events are written to.
---```lua
---return response.events(function(events)
---  events:send { event = "price", data = { tea = 2 }, id = 1 }
---  events:comment "still here"
---end)
---```
---@class green.events
local Events = {}

---Sends an event.
---Waits while the client is slow.
---Raises: EPIPE when it is gone, or does not read; ECANCELED.
---@param event string|{ data: any, event: string?, id: string|integer|nil, retry: number? } data that is a table goes as JSON; retry in seconds
function Events:send(event) end

---A line that clients ignore: keeps a quiet connection open.
---Waits while the client is slow.
---Raises: as `send`.
---@param text? string
function Events:comment(text) end

---Server-sent events until fn returns. The head leaves at once. fn's task is cancelled when its client leaves, unless
---`cancel_on_disconnect = false` (a route's option, or the request's).
---Does not wait; `fn` may.
---```lua
---return response.events(function(events)
---  for i = 1, 3 do events:send("tick " .. i) end
---end)
---```
---@param fn fun(events: green.events)
---@return green.Response
function response.events(fn) end

---Any answer of a handler as a response: what middleware needs to change one.
---```lua
---print(response.of("hello").status, response.of(nil).status) --> 200  204
---```
---@param answer green.answer
---@return green.Response
function response.of(answer) end

return response
