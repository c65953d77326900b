-- SPDX-License-Identifier: MIT
---@meta

---An application: routes, middleware, files and scripts. A script that returns one is served.
---
---    local app = require "green.app".new()
---    app:get("/orders/:id", function(req) return find(req.params.id) end)
---    return app
---
---Handlers answer with a string (text/plain), a table (JSON), nil (204) or a `green.response`. An error object or table
---with `status` 400..599 is answered with that status and `{"error": message}`; any other error is a 500 that says nothing.
---@class green.app
local App = {}

---@alias green.answer string|table|green.Response|nil
---@alias green.handler fun(req: green.request): green.answer
---@alias green.middleware fun(req: green.request, next: green.handler): green.answer

---@class green.routeopts
---@field cancel_on_disconnect? boolean the request's task is cancelled when its client goes away
---@field cpu_limit? number seconds of CPU the handler may use; more ends it with ECPULIMIT: 503 (the server's cpu_limit: 10)

---Routes: `/literal`, `/:name` (one non-empty segment), `/*name` (the rest, may be empty; last). More specific answers
---first: literal, `:name`, `*name`. Slashes are strict: "/a" and "/a/" differ. HEAD is answered by GET, OPTIONS by 204 and
---Allow, other methods by 405. Raises when another route of this method has the same shape.
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:get(path, handler, opts) end

---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:post(path, handler, opts) end

---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:put(path, handler, opts) end

---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:patch(path, handler, opts) end

---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:delete(path, handler, opts) end

---Every method that no other route of this path answers, OPTIONS included.
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:any(path, handler, opts) end

---A WebSocket endpoint; the connection closes when the handler is left: with 1000, or 1011 after an error.
---@param path string
---@param handler fun(ws: green.ws.socket, req: green.request)
---@param opts? green.ws.options
---@return green.app self
function App:ws(path, handler, opts) end

---Middleware around every answer, 404 and 405 included; the first added is the outermost.
---
---    app:use(function(req, next)
---      local res = response.of(next(req))
---      return res:header("x-served-by", "greenlua")
---    end)
---@param middleware green.middleware
---@return green.app self
function App:use(middleware) end

---@class green.staticopts
---@field index? string|false file answered for a directory ("index.html")
---@field dotfiles? boolean also names that begin with a dot (false)
---@field gzip? boolean send FILE.gz to clients that take it, if it is not older than FILE (true)
---@field max_age? number seconds for Cache-Control

---The files below a directory: ETag, Last-Modified, 304, one Range, no way out (links included).
---@param prefix string
---@param dir string
---@param opts? green.staticopts
---@return green.app self
function App:static(prefix, dir, opts) end

---A request script: the file runs top to bottom for each request, `local req = ...`, and returns the answer. Its globals
---end with the request. Compiled again when the file changes. Raises now if it is missing or does not compile.
---@param path string
---@param file string
---@return green.app self
function App:script(path, file) end

---PREFIX/NAME runs DIR/NAME.lua; NAME has letters, digits, `_`, `-` and `/`; "" and "x/" mean index.
---@param prefix string
---@param dir string
---@return green.app self
function App:scripts(prefix, dir) end

---Routes under a prefix, with middleware of their own inside the app's.
---@param prefix string
---@param define fun(group: green.app)
---@return green.app self
function App:group(prefix, define) end

---@return { method: string, path: string }[] in order of registration; method "ANY" for `any`
function App:routes() end

---What `green.http.native.listen` takes. A server keeps the one it was given.
---@return { exact: table<string, table<string, green.handler>>, fallback: green.handler }
function App:dispatcher() end

---The handler's answer to a request. Waits as the handler does.
---@param req green.request
---@return green.answer
function App:handle(req) end

---Serves on "host:port" until the server is closed.
---@param address string
---@param opts? table limits and time-outs of the server
---@return table server
function App:listen(address, opts) end

---Runs one request without a socket, see `green.test`.
---
---    local res = app:inject { method = "POST", path = "/orders", json = { item = "tea" } }
---    assert(res.status == 201 and res:json().id)
---@param spec string|green.testspec a path, or more
---@return green.testanswer
function App:inject(spec) end

local app = {}

---@return green.app
function app.new() end

---@param value any
---@return boolean
function app.is(value) end

return app
