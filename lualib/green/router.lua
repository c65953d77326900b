-- SPDX-License-Identifier: MIT
-- Routes, compiled to a trie of path segments. Of two routes that match, the more specific answers, segment by
-- segment from the left: literal before :name before *rest. A route without the asked method does not match, so
-- a less specific one may. Strict about slashes: "/a" and "/a/" are two paths.
local fault = require "green.error"
local scope = require "green.scope.native"
local url = require "green.url"

local M = {}
local Router = { __name = "green.Router" }
Router.__index = Router

local is_router = fault.receiver(Router, "router")

local function node() return { literal = {}, param = nil, rest = nil } end

function M.new()
  return setmetatable({ root = node(), list = {} }, Router)
end

-- "/a/b" -> { "a", "b" }, "/a/" -> { "a", "" }, "/" -> { "" }
local function split(path)
  local segments = {}
  for segment in path:gmatch("/([^/]*)") do segments[#segments + 1] = segment end
  return segments
end

local function check_pattern(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    fault.misuse("a route is a path that begins with '/', not %s", type(path) == "string" and "'" .. path .. "'" or type(path))
  end
  if path:find("[%c?#]") then fault.misuse("route %q: a path without '?', '#' or control characters expected", path) end
end

-- As others write a parameter: "{id}", "<int:id>", "[id]", "{path...}"; none of it is in a URL unescaped.
local function check_foreign(path, segment)
  if not segment:find "[{}<>%[%]]" then return end
  local words = segment:match "^(.*[%w_])" or ""
  local name = (words:match "^.*[^%w_](.*)$" or words):match "[%a_].*"
  if not name then error(("route '%s': '%s' cannot be in a URL"):format(path, segment), 0) end
  local own = (segment:find("...", 1, true) or segment:find("path:", 1, true) or segment:find("*", 1, true)) and "*" .. name or ":" .. name
  error(("route '%s': a parameter is written '%s', not '%s'"):format(path, own, segment), 0)
end

local function check_name(path, segment, seen)
  local name = segment:match("^[:*]([%a_][%w_]*)$")
  if not name then fault.misuse("route '%s': '%s' needs a name: letters, digits and _", path, segment) end
  if seen[name] then fault.misuse("route '%s': two parameters are called '%s'", path, name) end
  seen[name] = true
  return name
end

-- Walks to the node of a pattern, making what is missing. Returns it and the parameter names in order.
local function place(at, path)
  local names, seen, segments = {}, {}, split(path)
  for i, segment in ipairs(segments) do
    local kind = segment:sub(1, 1)
    check_foreign(path, segment)
    if kind == ":" or kind == "*" then names[#names + 1] = check_name(path, segment, seen) end
    if kind == ":" then
      at.param = at.param or node()
      at = at.param
    elseif kind == "*" then
      if i < #segments then fault.misuse("route '%s': '%s' must come last", path, segment) end
      at.rest = at.rest or node()
      at = at.rest
    else
      at.literal[segment] = at.literal[segment] or node()
      at = at.literal[segment]
    end
  end
  return at, names
end

-- Adds a route. `method` is in capitals, or "ANY": all methods that no other route of this path answers.
function Router:add(method, path, handler, extra)
  is_router(self, "add")
  check_pattern(path)
  local _ <close> = scope.atomic() -- others may add beside it
  local at, names = place(self.root, path)
  at.methods = at.methods or {}
  local other = at.methods[method]
  if other then fault.misuse("route %s %s conflicts with %s %s", method, path, other.method, other.path) end
  local route = { method = method, path = path, handler = handler, names = names, extra = extra }
  at.methods[method] = route
  self.list[#self.list + 1] = route
  return route
end

-- Returns all routes in the order they were added: { method =, path = }.
function Router:routes()
  is_router(self, "routes")
  local out = {}
  for i, route in ipairs(self.list) do out[i] = { method = route.method, path = route.path } end
  return out
end

-- ---- matching ----

local function route_for(methods, method)
  return methods[method] or (method == "HEAD" and methods.GET) or methods.ANY
end

local function accept(at, search)
  if not at or not at.methods then return nil end
  local route = route_for(at.methods, search.method)
  if route then return route end
  for method in pairs(at.methods) do search.allowed[method] = true end
end

local function descend(at, search, i, depth)
  local segment = search[i]
  if not segment then return accept(at, search) end
  local values = search.values
  local child = at.literal[segment]
  local route = child and descend(child, search, i + 1, depth)
  if route then return route end
  if at.param and segment ~= "" then
    values[depth + 1] = segment
    route = descend(at.param, search, i + 1, depth + 1)
    if route then return route end
  end
  route = accept(at.rest, search)
  if route then values[depth + 1] = table.concat(search, "/", i) end
  return route
end

-- The segments of a raw path, decoded one by one: an escaped slash never separates. nil: dot segments, which
-- a client resolves before it asks, never match: a parameter cannot be "..".
local function segments_of(raw_path, search)
  for segment in raw_path:gmatch("/([^/]*)") do
    if segment:find("%", 1, true) then segment = url.decode(segment) end
    if segment == "." or segment == ".." then return nil end
    search[#search + 1] = segment
  end
  return #search > 0 and search or nil
end

local function allow_list(allowed)
  if allowed.GET then allowed.HEAD = true end
  allowed.OPTIONS = true
  local list = {}
  for method in pairs(allowed) do list[#list + 1] = method end
  table.sort(list)
  return table.concat(list, ", ")
end

-- Finds the route for a method and a raw (still escaped) path. Returns the route and its parameters; or nil and, when other methods
-- would have matched, the value of Allow.
function Router:find(method, raw_path)
  is_router(self, "find")
  local search = segments_of(raw_path, { method = method, allowed = {}, values = {} })
  local route = search and descend(self.root, search, 1, 0)
  if route then
    local params = {}
    for i, name in ipairs(route.names) do params[name] = search.values[i] end
    return route, params
  end
  if search and next(search.allowed) then return nil, allow_list(search.allowed) end
end

-- Can a request for this route be told by comparing bytes? No parameters, and nothing a client would escape.
function M.is_exact(route)
  return #route.names == 0 and not route.path:find("[^%w%-%._~!$&'()*+,;=:@/]") and not (route.path .. "/"):find("/%.%.?/")
end

return M
