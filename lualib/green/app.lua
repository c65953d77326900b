-- SPDX-License-Identifier: MIT
-- An application: routes, middleware, files and scripts, made into the dispatcher that the server calls. Routes
-- without parameters are found by C in a table; the others by the router.
local native = require "green.http.native"
local failure = require "green.failure"
local fault = require "green.error"
local options = require "green.options"
local response = require "green.response"
local router = require "green.router"
local scope = require "green.scope.native"
local script = require "green.script"
local static = require "green.static"
local task = require "green.task"
local unserved = require "green.unserved"
require "green.request" -- what it adds to the server's requests

local App = { __name = "green.app" }
App.__index = App

local is_app = fault.receiver(App, "app")

local EXACT_ANY = { "DELETE", "GET", "PATCH", "POST", "PUT" }
local STANDARD = { CONNECT = true, DELETE = true, GET = true, HEAD = true, OPTIONS = true, PATCH = true, POST = true, PUT = true, QUERY = true, TRACE = true }
local UNSERVED = { CONNECT = true, TRACE = true }
local ROUTE_OPTIONS = { cancel_on_disconnect = "boolean", cpu_limit = "time", max_tasks = "count" }

-- ---- registration ----

local serve_anew, link -- further down

-- Forgets the dispatcher: middleware that is added while the app is served must be around every route, so that all is put together
-- again when the next request comes.
local function changed(app)
  local shared = app.shared
  shared.version, shared.dispatcher = shared.version + 1, nil
  for _, server in pairs(shared.servers) do
    server:replace(function(req)
      serve_anew(shared.root)
      return shared.root:handle(req)
    end)
  end
end

-- Adds a route and links it, atomically: a request in between would find half a route. Raises misuse at the line that called the
-- library.
local function register(app, method, path, handler, opts)
  if type(handler) ~= "function" then
    fault.misuse("route %s %s: a handler function expected, got %s", method, tostring(path), type(handler))
  end
  opts = options.check("route", opts, ROUTE_OPTIONS, "route option")
  if type(path) == "string" and app.prefix ~= "" then path = path == "" and app.prefix or app.prefix .. path end
  local _ <close> = scope.atomic()
  local route = app.router:add(method, path, handler, { scope = app, opts = opts })
  app.shared.version = app.shared.version + 1
  unserved.add(app.shared)
  link(app, route)
  return app
end

function App:get(path, handler, opts)
  is_app(self, "get")
  return register(self, "GET", path, handler, opts)
end

function App:post(path, handler, opts)
  is_app(self, "post")
  return register(self, "POST", path, handler, opts)
end

function App:put(path, handler, opts)
  is_app(self, "put")
  return register(self, "PUT", path, handler, opts)
end

function App:patch(path, handler, opts)
  is_app(self, "patch")
  return register(self, "PATCH", path, handler, opts)
end

function App:delete(path, handler, opts)
  is_app(self, "delete")
  return register(self, "DELETE", path, handler, opts)
end

function App:any(path, handler, opts)
  is_app(self, "any")
  return register(self, "ANY", path, handler, opts)
end

-- Registers a route for any other method. Methods are tokens: "get" is not "GET".
function App:route(method, path, handler, opts)
  is_app(self, "route")
  if type(method) ~= "string" or not method:find "^[%w!#$%%&'*+%-.^_`|~]+$" or #method > 32 then
    fault.misuse "app:route: a method expected, such as 'QUERY'"
  end
  if STANDARD[method:upper()] and not STANDARD[method] then fault.misuse("app:route: methods know case: '%s'", method:upper()) end
  if UNSERVED[method] then fault.misuse("app:route: the server refuses %s", method) end
  return register(self, method, path, handler, opts)
end

local WS_ROUTE_OPTIONS = { cpu_limit = "time", max_tasks = "count" } -- beside those of ws.accept

function App:ws(path, handler, opts)
  is_app(self, "ws")
  local ws = require "green.ws"
  if type(handler) ~= "function" then fault.misuse("app:ws: a handler function(ws, req) expected") end
  local checked, route = {}, {}
  for name, value in pairs(ws.check_options("app:ws", opts, WS_ROUTE_OPTIONS)) do
    (WS_ROUTE_OPTIONS[name] and route or checked)[name] = value
  end
  register(self, "GET", path, function(req)
    local socket <close> = ws.take(req, checked) -- says goodbye and leaves its topics, on every way out
    handler(socket, req)
  end, route)
  return self
end

function App:static(prefix, dir, opts)
  is_app(self, "static")
  options.argument("app:static", "prefix", prefix, "string")
  options.argument("app:static", "dir", dir, "string")
  register(self, "GET", (prefix:match "^(.*[^/])" or "") .. "/*path", static.handler(dir, opts))
  return self
end

-- The application answers the prefix itself, and all below it.
function App:wsapi(prefix, run, opts)
  is_app(self, "wsapi")
  local wsapi = require "green.wsapi"
  options.argument("app:wsapi", "prefix", prefix, "string")
  local handler = wsapi.handler(wsapi.check(run))
  local base = prefix:match "^(.*[^/])" or ""
  if base ~= "" then register(self, "ANY", base, handler, opts) end
  return register(self, "ANY", base .. "/*path_info", handler, opts)
end

function App:script(path, file)
  is_app(self, "script")
  options.argument("app:script", "file", file, "string")
  register(self, "ANY", path, script.handler(file))
  return self
end

function App:scripts(prefix, dir)
  is_app(self, "scripts")
  options.argument("app:scripts", "prefix", prefix, "string")
  options.argument("app:scripts", "dir", dir, "string")
  register(self, "ANY", (prefix:match "^(.*[^/])" or "") .. "/*script", script.directory(dir))
  return self
end

function App:use(middleware)
  is_app(self, "use")
  if type(middleware) ~= "function" then fault.misuse("middleware is a function(req, next), not a %s", type(middleware)) end
  local _ <close> = scope.atomic()
  self.middleware[#self.middleware + 1] = middleware
  changed(self)
  return self
end

-- Registers handler(req, status, err), which answers where nothing else has: errors that handlers raise, 404 and 405.
function App:on_error(handler)
  is_app(self, "on_error")
  options.argument("app:on_error", "handler", handler, "function")
  self.shared.on_error = handler
  changed(self)
  return self
end

-- Returns the file that calls the library.
local function caller()
  local source = debug.getinfo(3, "S").source
  return source:sub(1, 1) == "@" and source:sub(2) or "./"
end

-- Says which database the app has, for green.jobs, `greenlua migrate`, `greenlua db` and --dev.
function App:database(db, opts)
  is_app(self, "database")
  if type(db) ~= "table" or not db.with then fault.misuse("app:database: a database (of db.connect) expected, got %s", type(db)) end
  local fs = require "green.fs" -- loaded here, since most apps need none of it
  local dir = options.check("app:database", opts, { migrations = "string" }).migrations or "migrations"
  if dir:sub(1, 1) ~= "/" then dir = fs.join(fs.dirname(caller()), dir) end
  self.shared.database = { db = db, dir = dir }
  require "green.jobs.place".note_app(db)
  return self
end

-- Returns { db =, dir = the folder of its migrations }, nil for an app without a database.
function App:its_database() return self.shared.database end

-- Returns an app for routes under a common prefix. Its middleware runs inside the app's.
function App:group(prefix, define)
  is_app(self, "group")
  options.argument("app:group", "prefix", prefix, "string")
  options.argument("app:group", "define", define, "function")
  local group = setmetatable({
    prefix = self.prefix .. prefix, router = self.router, shared = self.shared, middleware = {}, parent = self, options = self.options,
  }, App)
  define(group)
  return self
end

-- Returns the URL of a path of this app. The app has one once it listens.
function App:url(path)
  is_app(self, "url")
  options.argument("app:url", "path", path or "/", "string")
  local address = self.shared.address
  if not address then fault.misuse("app:url: the app is not being served yet") end
  if address:find "^unix:" then fault.misuse("app:url: the app is served on a unix socket only") end
  address = address:gsub("^0%.0%.0%.0:", "127.0.0.1:"):gsub("^%[::%]:", "[::1]:")
  return self.shared.scheme .. "://" .. address .. (path or "/")
end

-- Whoever listens for the app calls this with the address, and "http" or "https"; the first address that a URL can name stays the app's.
function App:served_on(address, scheme)
  local known = self.shared.address
  if not known or known:find "^unix:" then self.shared.address, self.shared.scheme = address, scheme end
end

function App:routes()
  is_app(self, "routes")
  return self.router:routes()
end

-- ---- dispatching ----

local function step(middleware, after)
  local function next(req)
    if req == nil then error("middleware called next() without the request: next(req)", 0) end
    return after(req)
  end
  return function(req) return middleware(req, next) end
end

local function compose(owner, handler)
  while owner do
    for i = #owner.middleware, 1, -1 do handler = step(owner.middleware[i], handler) end
    owner = owner.parent
  end
  return handler
end

local function with_options(handler, opts)
  if opts.cancel_on_disconnect == nil and not opts.cpu_limit and not opts.max_tasks then return handler end
  return function(req)
    if opts.cancel_on_disconnect ~= nil then req.cancel_on_disconnect = opts.cancel_on_disconnect end
    if opts.cpu_limit then task.cpu_limit(opts.cpu_limit) end
    if opts.max_tasks then task.max_tasks(opts.max_tasks) end
    return handler(req)
  end
end

-- Answers what no route does: with 404, or by the methods that would do, 405 and OPTIONS.
local function refuse(shared, req)
  local allow = req.allow
  if not allow then return failure.refuse(shared.on_error, req, 404, "ENOENT", "not found") end
  if req.method == "OPTIONS" then return response.status(204):header("allow", allow) end
  return failure.refuse(shared.on_error, req, 405, "EINVAL", "method not allowed"):header("allow", allow)
end

local function compile(route)
  local extra = route.extra
  route.run = compose(extra.scope, with_options(route.handler, extra.opts))
  return route.run
end

local function fallback_of(app)
  local shared = app.shared
  local refusal = compose(shared.root, function(req) return refuse(shared, req) end)
  return function(req)
    local route, found = app.router:find(req.method, req.raw_path)
    if route then
      req.params = found
      return (route.run or compile(route))(req) -- it came while all was put together
    end
    req.allow = req.raw_path == "*" and "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" or found
    return refusal(req)
  end
end

-- Puts a route into the table of exact paths, by method. A route of `any` goes where no other route is. C answers HEAD by GET.
local function put_exact(exact, route)
  local explicit = route.method ~= "ANY"
  for _, method in ipairs(explicit and { route.method } or EXACT_ANY) do
    local paths = exact[method] or {}
    exact[method] = paths
    if explicit or not paths[route.path] then paths[route.path] = route.run end
  end
end

local function build(app)
  local exact = {} -- by method, then by path
  for _, method in ipairs(EXACT_ANY) do exact[method] = {} end
  for _, route in ipairs(app.router.list) do
    compile(route)
    if router.is_exact(route) then put_exact(exact, route) end
  end
  return { exact = exact, fallback = fallback_of(app), on_error = app.shared.on_error and function(...) return app:failed(...) end }
end

-- Puts a route that is added while the app is served where the servers look; that costs the same however many routes there are.
function link(app, route)
  local dispatcher = app.shared.dispatcher
  if not dispatcher then return end
  compile(route)
  if not router.is_exact(route) then return end
  local known = route.method == "ANY" or dispatcher.exact[route.method] -- a method that servers have no table of yet
  put_exact(dispatcher.exact, route)
  if not known then serve_anew(app) end
end

-- Returns the dispatcher that native.listen takes. Builds it at first use, again after a change, and once more if the app changed
-- while it was built. A server keeps the dispatcher it was given.
function App:dispatcher()
  local shared = self.shared
  if not shared.dispatcher then unserved.remove(shared) end
  while not shared.dispatcher do
    local version = shared.version
    local dispatcher = build(shared.root)
    local _ <close> = scope.atomic()
    if version == shared.version then shared.dispatcher = dispatcher end
  end
  return shared.dispatcher
end

function serve_anew(app)
  for _, server in pairs(app.shared.servers) do server:replace(app:dispatcher()) end
end

-- Returns the handler's answer to a request, found as the server finds it.
function App:handle(req)
  is_app(self, "handle")
  local dispatcher = self:dispatcher()
  local paths = dispatcher.exact[req.method]
  local handler = paths and paths[req.raw_path] or dispatcher.fallback
  return handler(req)
end

--- The answer to a request whose handler failed.
function App:failed(req, status, reason, err) return failure.answer(self.shared.on_error, req, status, reason, err) end

local function know(app, server)
  app.shared.servers[server:address()] = server
  app:served_on(server:address(), server:scheme())
end

function App:listen(address, opts)
  is_app(self, "listen")
  local server = native.listen(address, self:dispatcher(), options.over(opts, self.options))
  know(self, server)
  return server
end

--- The server's requests are another's from now on.
function App:leave(server) self.shared.servers[server:address()] = nil end

--- The server's requests are this app's from now on.
function App:serve_on(server)
  know(self, server)
  server:replace(self.shared.root:dispatcher())
end

-- Runs a request through the app without a socket: { method=, path=, headers=, body= } -> { status, headers, body }.
function App:inject(spec)
  is_app(self, "inject")
  return require("green.test").inject(self, spec)
end

local M = { is = function(value) return getmetatable(value) == App end }

-- Options are the limits and time-outs of the server (native.listen), which app:listen takes, too.
function M.new(opts)
  if opts ~= nil and type(opts) ~= "table" then fault.misuse("app.new: options must be a table, not a %s", type(opts)) end
  if opts then native.check_options(opts) end
  local app = setmetatable({ prefix = "", router = router.new(), middleware = {}, options = opts }, App)
  app.shared = { root = app, version = 0, servers = setmetatable({}, { __mode = "v" }) } -- servers: by address
  return app
end

return M
