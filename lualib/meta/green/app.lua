---@meta green.app
-- SPDX-License-Identifier: MIT

---An application: routes, middleware, files and scripts. A script that returns one is served.
---Handlers answer with a string (text/plain), a table (JSON), nil (204), a `green.response`, or what `http.get` and `app:inject`
---returned, which is passed on; anything else, or a status as second value, is an error. An error
---object or table with `status` 400..599 is answered with that status and `{"error": message}`; any other is a 500 that says nothing.
---```lua
---local app = require "green.app".new()
---app:get("/orders/:id", function(req) return { id = req.params.id } end)
---print(app:inject("/orders/7").body) --> {"id":"7"}
---return app
---```
---@class green.app
local App = {}

---@alias green.answer string|table|green.Response|green.http.response|green.testanswer|nil
---@alias green.handler fun(req: green.request): green.answer
---@alias green.middleware fun(req: green.request, next: green.handler): green.answer

---@class green.routeopts
---@field cancel_on_disconnect? boolean the request's task is cancelled when its client goes away (as the server says: false, but true once it streams)
---@field cpu_limit? number seconds of CPU time the handler may use, with all tasks that it spawns; more ends all of them with ECPULIMIT: 503 (the server's cpu_limit: 10)
---@field max_tasks? integer tasks the request may have at once; one more ends all of them with ETASKLIMIT: 503 (the server's max_tasks: 10000)

---Answers GET, and HEAD. Routes: `/literal`, `/:name` (one non-empty segment), `/*name` (the rest, may be empty; last). More
---specific answers first: literal, `:name`, `*name`. Slashes are strict: "/a" and "/a/" differ. OPTIONS is answered by 204
---and Allow, other methods by 405.
---Does not wait.
---Raises: a message when another route of this method has the same shape.
---```lua
---app:get("/files/*path", function(req) return req.params.path end)
---print(app:inject("/files/a/b").body) --> a/b
---print(app:inject({ method = "PUT", path = "/files/a" }).status) --> 405
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:get(path, handler, opts) end

---Answers POST.
---Does not wait.
---Raises: as `get`.
---```lua
---app:post("/orders", function(req) return response.json(req:json(), 201) end)
---print(app:inject({ method = "POST", path = "/orders", json = { n = 1 } }).status) --> 201
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:post(path, handler, opts) end

---Answers PUT.
---Does not wait.
---Raises: as `get`.
---```lua
---app:put("/orders/:id", function(req) return { id = req.params.id } end)
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:put(path, handler, opts) end

---Answers PATCH.
---Does not wait.
---Raises: as `get`.
---```lua
---app:patch("/orders/:id", function(req) return { id = req.params.id } end)
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:patch(path, handler, opts) end

---Answers DELETE.
---Does not wait.
---Raises: as `get`.
---```lua
---app:delete("/orders/:id", function(req) end)
---print(app:inject({ method = "DELETE", path = "/orders/7" }).status) --> 204
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:delete(path, handler, opts) end

---Answers every method that no other route of this path answers, OPTIONS included.
---Does not wait.
---Raises: as `get`.
---```lua
---app:any("/echo", function(req) return req.method end)
---print(app:inject({ method = "PUT", path = "/echo" }).body) --> PUT
---```
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app self
function App:any(path, handler, opts) end

---Answers another method, such as QUERY; methods are tokens, with their case. `app:any` answers them, too.
---Does not wait.
---Raises: an argument error for what is no method, and CONNECT and TRACE; for a route that is there already.
---```lua
---app:route("QUERY", "/orders", function(req) return "asked: " .. req:body() end)
---print(app:inject { method = "QUERY", path = "/orders", body = "tea" }.body) --> asked: tea
---```
---@param method string
---@param path string
---@param handler green.handler
---@param opts? green.routeopts
---@return green.app
function App:route(method, path, handler, opts) end

---@class green.ws.routeopts: green.ws.options
---@field cpu_limit? number seconds of CPU time the handler may use for one message, with the tasks it spawns (the server's cpu_limit: 10)
---@field max_tasks? integer tasks the handler may have at once (the server's max_tasks: 10000)

---A WebSocket endpoint; the connection closes when the handler is left: with 1000, or 1011 after an error. A handler that only sends is
---cancelled when its client has left (see `green.ws`), unless `cancel_on_disconnect = false`.
---Does not wait.
---Raises: as `get`.
---```lua
---app:ws("/echo", function(socket, req)
---  for message in socket:messages() do socket:send(message) end
---end)
---```
---@param path string
---@param handler fun(ws: green.ws.socket, req: green.request)
---@param opts? green.ws.routeopts
---@return green.app self
function App:ws(path, handler, opts) end

---Middleware around every answer, 404 and 405 included; the first added is the outermost.
---Does not wait.
---```lua
---app:use(function(req, next)
---  return response.of(next(req)):header("x-served-by", "greenlua")
---end)
---print(app:inject("/").headers["x-served-by"]) --> greenlua
---```
---@param middleware green.middleware
---@return green.app self
function App:use(middleware) end

---What answers where no handler has: when one raises, and for 404 and 405. Without it, or when it returns nothing, browsers get a
---small page and everybody else `{"error": reason}`. The answer has the failure's status, unless it has one of its own
---other than 200. What is not the client's fault is logged before. If the function fails itself, that is logged, too, and
---the client gets a plain 500. One function for the whole app; the last one given counts. Under `--dev` a 500 is the page
---with the traceback all the same.
---Does not wait.
---```lua
---app:on_error(function(req, status, err)
---  if status == 404 then return response.html("<h1>Nothing here</h1>") end
---  return { error = status < 500 and err.message or "sorry", request = req.id }
---end)
---local answer = app:inject "/nowhere"
---print(answer.status, answer.body) --> 404  <h1>Nothing here</h1>
---```
---@param handler fun(req: green.request, status: integer, err: any): any `err`: what was raised; for 404 and 405 an error object
---@return green.app self
function App:on_error(handler) end

---@class green.staticopts
---@field index? string|false file answered for a directory ("index.html")
---@field dotfiles? boolean also names that begin with a dot (false)
---@field precompressed? boolean send FILE.br, FILE.zst or FILE.gz to clients that take it, if it is not older than FILE (true)
---@field max_age? number seconds for Cache-Control

---The files below a directory: ETag, Last-Modified, 304 and 412, ranges, no way out (links included).
---Waits for the folder to be looked at.
---Raises: ENOTDIR when there is no such folder; as `get`.
---```lua
---fs.mkdir "public"
---fs.write("public/index.html", "<h1>Hello</h1>")
---app:static("/", "public", { max_age = 3600 })
---print(app:inject("/").body) --> <h1>Hello</h1>
---```
---@param prefix string
---@param dir string
---@param opts? green.staticopts
---@return green.app self
function App:static(prefix, dir, opts) end

---Serves a WSAPI application below a prefix, and at the prefix itself: existing WSAPI and CGI-style code, unchanged and concurrently.
---`run(env)` returns a status (200, "200 OK"), a table of headers (a list is sent as several lines) and an iterator of the body's pieces,
---each of which leaves as it comes. `env` has the metavariables of CGI (`SCRIPT_NAME` is the prefix, `PATH_INFO` what follows, "" is what
---was not sent), `env.input:read(n)` and `env.error:write(...)`, which goes to the log. A body that comes in chunks is read whole first (1 MB).
---Does not wait.
---Raises: as `get`.
---```lua
---app:wsapi("/shop", function(env)
---  local pieces = coroutine.wrap(function()
---    coroutine.yield "hello, "
---    coroutine.yield(env.PATH_INFO)
---  end)
---  return "200 OK", { ["Content-Type"] = "text/plain" }, pieces
---end)
---print(app:inject("/shop/soup").body) --> hello, /soup
---```
---@param prefix string
---@param run fun(env: table): integer|string, table, fun(): string? or a module that has it as `run`
---@param opts? green.routeopts
---@return green.app self
function App:wsapi(prefix, run, opts) end

---A request script: the file runs top to bottom for each request, `local req = ...`, and returns the answer. Its globals
---end with the request. Compiled again when the file changes.
---Waits for the file to be compiled.
---Raises: ENOENT when it is missing; EINVAL when it does not compile; as `get`.
---```lua
---fs.write("now.lua", "local req = ... return req.path")
---app:script("/now", "now.lua")
---print(app:inject("/now").body) --> /now
---```
---@param path string
---@param file string
---@return green.app self
function App:script(path, file) end

---PREFIX/NAME runs DIR/NAME.lua; NAME has letters, digits, `_`, `-` and `/`; "" and "x/" mean index. Links do not lead out of
---DIR.
---Waits for the folder to be looked at.
---Raises: ENOTDIR when there is no such folder; as `get`.
---```lua
---fs.mkdir "pages"
---fs.write("pages/index.lua", "return 'welcome'")
---app:scripts("/", "pages")
---print(app:inject("/").body) --> welcome
---```
---@param prefix string
---@param dir string
---@return green.app self
function App:scripts(prefix, dir) end

---Routes under a prefix, with middleware of their own inside the app's.
---Does not wait.
---Raises: what `define` raises.
---```lua
---app:group("/admin", function(admin)
---  admin:use(function(req, next)
---    if not req.headers.cookie then return response.status(403) end
---    return next(req)
---  end)
---  admin:get("/stats", function() return {} end)
---end)
---print(app:inject("/admin/stats").status) --> 403
---```
---@param prefix string
---@param define fun(group: green.app)
---@return green.app self
function App:group(prefix, define) end

---Says which database the app has: `greenlua migrate app.lua` applies its migrations, `greenlua db app.lua` begins a prompt with it,
---and --dev says when a migration is pending. `migrations` is their folder, beside the file that calls this.
---Does not wait.
---```lua
---local kitchen = require "green.db".connect "sqlite:kitchen.db"
---app:database(kitchen, { migrations = "migrations" })
---```
---@param db green.db.Database
---@param options? { migrations?: string } "migrations"
---@return green.app self
function App:database(db, options) end

---@private
---@return { db: green.db.Database, dir: string }?
function App:its_database() end

---The address of a path, for itself or to hand out; known once the app listens. A prefix counts for nothing here.
---Does not wait.
---Raises: a message before the app listens, and when it does so on a unix socket only.
---```lua
---local server = app:listen "127.0.0.1:0"
---print(app:url "/orders" == "http://" .. server:address() .. "/orders") --> true
---```
---@param path? string "/"
---@return string
function App:url(path) end

---@private
---@param req green.request
---@param status integer
---@param reason string
---@param err any
---@return green.response
function App:failed(req, status, reason, err) end

---@private
---@param address string
---@param scheme string "http" or "https"
function App:served_on(address, scheme) end

---@private
---@param server green.Server
function App:serve_on(server) end

---@private
---@param server green.Server
function App:leave(server) end

---All routes in order of registration; the method is "ANY" for `any`.
---Does not wait.
---```lua
---app:get("/", function() end)
---for _, route in ipairs(app:routes()) do print(route.method, route.path) end --> GET  /
---```
---@return { method: string, path: string }[]
function App:routes() end

---What the server takes. A server keeps the one it was given.
---Does not wait.
---```lua
---print(type(app:dispatcher().fallback)) --> function
---```
---@return { exact: table<string, table<string, green.handler>>, fallback: green.handler }
function App:dispatcher() end

---The handler's answer to a request.
---Waits as the handler does.
---Raises: what the handler raises.
---```lua
---app:get("/", function(req) return "hello" end)
---print(app:handle(test.request { path = "/" })) --> hello
---```
---@param req green.request
---@return green.answer
function App:handle(req) end

---Serves on an address until the server is closed: "host:port", "[ipv6]:port" or "unix:/path"; port 0 is any free one.
---With the option `tls` it is HTTPS that is served: TLS 1.2 and 1.3. The time of a handshake is that of a head (`header_timeout`), and it
---holds up nobody else. What comes in the clear is answered with 400.
---Does not wait.
---Raises: EADDRINUSE, EACCES and the system's others; EINVAL for what is no address; ETLS for certificates that cannot be used, which names
---the option and the file.
---```lua
---app:get("/", function() return "hello" end)
---local server = app:listen "127.0.0.1:0"
---print(http.get("http://" .. server:address()).body) --> hello
---server:finish(1)
---```
---```lua norun
---local server = app:listen("0.0.0.0:8443", { tls = { cert = "site.pem", key = "site.key" } })
---```
---@param address string
---@param opts? green.listenopts what it does not name is as the app's options (`app.new`) have it
---@return green.Server
function App:listen(address, opts) end

---Runs one request without a socket, see `green.test`.
---Waits as the handler does.
---```lua
---app:post("/orders", function(req) return response.json({ item = req:json().item }, 201) end)
---local answer = app:inject { method = "POST", path = "/orders", json = { item = "tea" } }
---print(answer.status, answer:json().item) --> 201  tea
---```
---@param spec string|green.testspec a path, or more
---@return green.testanswer
function App:inject(spec) end

---@class green.serveropts
---@field max_target? integer bytes of a request's path and query (8192): 414
---@field max_head? integer bytes of a request's headers (16384): 431
---@field max_headers? integer how many (100): 431
---@field max_body? integer bytes req:body() takes (1 MiB): 413
---@field max_connections? integer further ones wait in the kernel's backlog until one ends; idle ones are closed for them (100000)
---@field http2? boolean clients may speak HTTP/2, over TLS by ALPN, and in the clear by prior knowledge (true)
---@field max_streams? integer requests that a client may have at once on a connection of HTTP/2; further ones are refused (100)
---@field header_timeout? number seconds from the first byte of a head to its last (10): 408
---@field keepalive_timeout? number seconds between requests (65)
---@field body_timeout? number seconds for a body that is waited for, and between two pieces of it (30): 408
---@field body_min_rate? integer bytes of a body that give it one second more, so that a long one has its time (240)
---@field write_timeout? number seconds for a client that does not read its answer (30)
---@field request_timeout? number seconds for the handler to answer (60): 503
---@field cpu_limit? number seconds of CPU time a request may use, with all tasks that it spawns (10): 503
---@field max_tasks? integer tasks that a request may have at once, itself among them (10000): 503
---@field underscore_headers? boolean false: headers with a `_` in their name are left out, for programs behind that take it for `-` (true)
---@field trust_request_id? boolean `req.id` is what the header X-Request-Id says: behind a proxy that sets it (false)
---@field trusted_proxies? string[] networks of the proxies in front: "10.0.0.0/8", "::1", "unix" (every unix socket). On their connections the
---headers of `proxy_headers` make `remote`, `scheme` and `host` of a request: of the addresses that proxies add at the end of X-Forwarded-For,
---the last one that is not in this list is the client. Others may send such headers, and are not believed (nobody)
---@field proxy_headers? ("x-forwarded-for"|"x-forwarded-proto"|"x-forwarded-host"|"forwarded")[] those that all these proxies set anew or add to, and
---do not just pass on as a client wrote them; "forwarded" (RFC 7239) excludes the others (the three of X-Forwarded)
---@field proxy_protocol? boolean connections of `trusted_proxies` begin with a header of the PROXY protocol, version 1 or 2, as HAProxy, nginx's
---stream module and load balancers send it: its address is `remote`, its TLS `scheme`. One without it is closed. The headers of
---`proxy_headers` count when that address is a trusted proxy's (false)
---@field cancel_on_disconnect? boolean a request's task is cancelled when its client goes away (false; streams, events and WebSockets: true)

---@class green.listenopts : green.serveropts
---@field tls? green.server_tls serve HTTPS

---Certificates and keys are paths of PEM files, read at once, or PEM texts. The keys of sessions change every `session_timeout`, and are
---forgotten after twice that.
---@class green.server_tls
---@field cert? string certificate, and what leads from it to an authority; may be left out if there is `sni`
---@field key? string its key, without a password; default: in `cert`
---@field sni? table<string, { cert: string, key?: string }> other certificates, by the name the client asks for: "www.a.test", "*.a.test"
---@field session_timeout? integer seconds for which a client can resume a session, without another full handshake; 0: not at all; 7200
---@field client_ca? string clients must have a certificate of one of these authorities
---@field verify_client? true|"optional" with client_ca: "optional" lets clients without a certificate in; true

---A server that listens. It goes on when nobody refers to it.
---```lua
---local server = app:listen "127.0.0.1:0"
---print(server:address():match "^127", server:connections()) --> 127  0
---server:finish(1)
---server:abort()
---```
---@class green.Server
local Server = {}

---The address with the port that was chosen.
---Does not wait.
---@return string
function Server:address() end

---"https" with TLS, else "http".
---Does not wait.
---```lua
---local server = app:listen "127.0.0.1:0"
---print(server:scheme()) --> http
---```
---@return string
function Server:scheme() end

---Other certificates, or renewed ones: connections that are made from now on get them, and no connection is lost. What cannot be used
---changes nothing. The files are read at once.
---Does not wait.
---Raises: ETLS for certificates that cannot be used; EINVAL for a server that was made without TLS.
---```lua norun
---local tls = { cert = "site.pem", key = "site.key" }
---local server = app:listen("0.0.0.0:8443", { tls = tls })
---task.spawn(function()
---  while signal.wait "HUP" do server:set_tls(tls) end
---end)
---```
---@param options green.server_tls
function Server:set_tls(options) end

---Requests that begin from now on go to this handler.
---Does not wait.
---```lua
---local server = app:listen "127.0.0.1:0"
---server:replace(function() return "closed for today" end)
---print(http.get("http://" .. server:address()).body) --> closed for today
---```
---@param handler fun(req: green.request): any
function Server:replace(handler) end

---How many connections there are.
---Does not wait.
---@return integer
function Server:connections() end

---Stops listening and lets what runs come to its end. Clients that have just connected get their first request answered.
---Waits until the last connection is closed.
---Raises: ETIMEDOUT; EBUSY when another task does it.
---@param timeout? number seconds
---@param fresh? boolean false: connections that sent nothing yet are closed (true)
function Server:finish(timeout, fresh) end

---Stops listening, closes every connection and cancels what runs.
---Does not wait.
function Server:abort() end

local app = {}

---An app without routes.
---Does not wait.
---@param opts? green.serveropts limits and time-outs of its servers
---@return green.app
function app.new(opts) end

---Is the value an app?
---Does not wait.
---```lua
---print(require "green.app".is(app), require "green.app".is {}) --> true  false
---```
---@param value any
---@return boolean
function app.is(value) end

return app
