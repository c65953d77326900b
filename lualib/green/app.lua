-- SPDX-License-Identifier: MIT
-- An application: routes, middleware, files and scripts, made into the dispatcher that the server calls. Routes
-- without parameters are found by C in a table; the others by the router.
local native = require "green.http.native"
local fault = require "green.error"
local request = require "green.request"
local response = require "green.response"
local router = require "green.router"
local script = require "green.script"
local static = require "green.static"
local task = require "green.task"
local unserved = require "green.unserved"

request.install(native.request)

local App = { __name = "green.app" }
App.__index = App

local EXACT_ANY = { "DELETE", "GET", "PATCH", "POST", "PUT" }
local STANDARD = { CONNECT = true, DELETE = true, GET = true, HEAD = true, OPTIONS = true, PATCH = true, POST = true, PUT = true, QUERY = true, TRACE = true }
local UNSERVED = { CONNECT = true, TRACE = true }
local ROUTE_OPTIONS = { cancel_on_disconnect = true, cpu_limit = true }

-- ---- registration ----

local function check_options(opts)
  for name in pairs(opts or {}) do
    if not ROUTE_OPTIONS[name] then error(("unknown route option '%s'"):format(tostring(name)), 0) end
  end
  local limit = opts and opts.cpu_limit
  if limit ~= nil and not (type(limit) == "number" and limit > 0 and limit < 1e6) then
    error("route option 'cpu_limit' must be a number of seconds > 0", 0)
  end
end

-- Routes and middleware that come while the app is served are in effect at once.
local function changed(app)
  local shared = app.shared
  shared.dispatcher = nil
  for _, server in pairs(shared.servers) do server:replace(shared.root:dispatcher()) end
end

local function add(app, method, path, handler, opts)
  if type(handler) ~= "function" then error(("route %s %s: a handler function expected, got %s"):format(method, tostring(path), type(handler)), 0) end
  check_options(opts)
  if type(path) == "string" and app.prefix ~= "" then path = path == "" and app.prefix or app.prefix .. path end
  app.router:add(method, path, handler, { scope = app, opts = opts or {} })
  unserved.add(app.shared)
  changed(app)
end

-- What `add` raises is the caller's mistake, two levels up.
local function register(app, ...)
  local ok, err = pcall(add, app, ...)
  if not ok then error(err, 3) end
  return app
end

function App:get(path, handler, opts) register(self, "GET", path, handler, opts) return self end
function App:post(path, handler, opts) register(self, "POST", path, handler, opts) return self end
function App:put(path, handler, opts) register(self, "PUT", path, handler, opts) return self end
function App:patch(path, handler, opts) register(self, "PATCH", path, handler, opts) return self end
function App:delete(path, handler, opts) register(self, "DELETE", path, handler, opts) return self end
function App:any(path, handler, opts) register(self, "ANY", path, handler, opts) return self end

-- Any other method: they are tokens, and "get" is not "GET".
function App:route(method, path, handler, opts)
  if type(method) ~= "string" or not method:find "^[%w!#$%%&'*+%-.^_`|~]+$" or #method > 32 then
    error("app:route: a method expected, such as 'QUERY'", 2)
  end
  if STANDARD[method:upper()] and not STANDARD[method] then error(("app:route: methods know case: '%s'"):format(method:upper()), 2) end
  if UNSERVED[method] then error(("app:route: the server refuses %s"):format(method), 2) end
  register(self, method, path, handler, opts)
  return self
end

local WS_ROUTE_OPTIONS = { cpu_limit = "time" } -- beside those of ws.accept

function App:ws(path, handler, opts)
  local ws = require "green.ws"
  if type(handler) ~= "function" then error("app:ws: a handler function(ws, req) expected", 2) end
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
  register(self, "GET", (prefix:match "^(.*[^/])" or "") .. "/*path", static.handler(dir, opts))
  return self
end

function App:script(path, file)
  register(self, "ANY", path, script.handler(file))
  return self
end

function App:scripts(prefix, dir)
  register(self, "ANY", (prefix:match "^(.*[^/])" or "") .. "/*script", script.directory(dir))
  return self
end

function App:use(middleware)
  if type(middleware) ~= "function" then error("middleware is a function(req, next), not a " .. type(middleware), 2) end
  self.middleware[#self.middleware + 1] = middleware
  changed(self)
  return self
end

-- Routes under a common prefix, with middleware of their own inside the app's.
function App:group(prefix, define)
  local group = setmetatable({
    prefix = self.prefix .. prefix, router = self.router, shared = self.shared, middleware = {}, parent = self, options = self.options,
  }, App)
  define(group)
  return self
end

-- Where this app is served: the address of a path, for itself or to hand out. Known once it listens.
function App:url(path)
  local address = self.shared.address
  if not address then error("app:url: the app is not being served yet", 2) end
  if address:find "^unix:" then error("app:url: the app is served on a unix socket only", 2) end
  address = address:gsub("^0%.0%.0%.0:", "127.0.0.1:"):gsub("^%[::%]:", "[::1]:")
  return "http://" .. address .. (path or "/")
end

-- Told by whoever listens for the app; the first address that a URL can name stays.
function App:served_on(address)
  local known = self.shared.address
  if not known or known:find "^unix:" then self.shared.address = address end
end

function App:routes() return self.router:routes() end

-- ---- dispatching ----

local function step(middleware, after)
  local function next(req)
    if req == nil then error("middleware called next() without the request: next(req)", 0) end
    return after(req)
  end
  return function(req) return middleware(req, next) end
end

local function compose(scope, handler)
  while scope do
    for i = #scope.middleware, 1, -1 do handler = step(scope.middleware[i], handler) end
    scope = scope.parent
  end
  return handler
end

local function with_options(handler, opts)
  if opts.cancel_on_disconnect == nil and not opts.cpu_limit then return handler end
  return function(req)
    if opts.cancel_on_disconnect ~= nil then req.cancel_on_disconnect = opts.cancel_on_disconnect end
    if opts.cpu_limit then task.cpu_limit(opts.cpu_limit) end
    return handler(req)
  end
end

-- What no route answers: 404, or 405 and OPTIONS by the methods that would do.
local function refuse(req)
  local allow = req.allow
  if not allow then return response.json({ error = "not found" }, 404) end
  if req.method == "OPTIONS" then return response.status(204):header("allow", allow) end
  return response.json({ error = "method not allowed" }, 405, { allow = allow })
end

local function fallback_of(app)
  local refusal = compose(app.shared.root, refuse)
  return function(req)
    local route, found = app.router:find(req.method, req.raw_path)
    if route then
      req.params = found
      return route.run(req)
    end
    req.allow = req.raw_path == "*" and "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" or found
    return refusal(req)
  end
end

local function put_exact(exact, method, route, over)
  local paths = exact[method] or {}
  exact[method] = paths
  if over or not paths[route.path] then paths[route.path] = route.run end
end

-- Explicit methods first, then what `any` answers where nothing else does. C answers HEAD by GET.
local function exact_of(routes)
  local exact = {}
  for _, route in ipairs(routes) do
    if route.method ~= "ANY" then put_exact(exact, route.method, route, true) end
  end
  for _, route in ipairs(routes) do
    for _, method in ipairs(route.method == "ANY" and EXACT_ANY or {}) do put_exact(exact, method, route) end
  end
  return exact
end

-- What native.listen takes. Built at first use, again after a change; a server keeps the one it was given.
function App:dispatcher()
  local shared = self.shared
  if shared.dispatcher then return shared.dispatcher end
  unserved.remove(shared)
  local plain = {}
  for _, route in ipairs(self.router.list) do
    local extra = route.extra
    route.run = compose(extra.scope, with_options(route.handler, extra.opts))
    if router.is_exact(route) then plain[#plain + 1] = route end
  end
  shared.dispatcher = { exact = exact_of(plain), fallback = fallback_of(self) }
  return shared.dispatcher
end

-- The handler's answer to a request, as the server would ask for it.
function App:handle(req)
  local dispatcher = self:dispatcher()
  local paths = dispatcher.exact[req.method]
  local handler = paths and paths[req.raw_path] or dispatcher.fallback
  return handler(req)
end

local function know(app, server)
  app.shared.servers[server:address()] = server
  app:served_on(server:address())
end

function App:listen(address, opts)
  local server = native.listen(address, self:dispatcher(), opts or self.options)
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
function App:inject(spec) return require("green.test").inject(self, spec) end

local M = { is = function(value) return getmetatable(value) == App end }

-- Options are the limits and time-outs of the server (native.listen).
function M.new(options)
  if options ~= nil and type(options) ~= "table" then fault.misuse("app.new: options must be a table, not a %s", type(options)) end
  local app = setmetatable({ prefix = "", router = router.new(), middleware = {}, options = options }, App)
  app.shared = { root = app, servers = setmetatable({}, { __mode = "v" }) } -- servers: by address
  return app
end

return M
