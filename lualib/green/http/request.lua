-- SPDX-License-Identifier: MIT
-- Internal.
-- This file runs a request of the client: it checks and completes the options, sends, follows redirects, tries again, and decodes the
-- answer. The bytes on the wire are made and read by green.http.transport.
local answer = require "green.http.answer"
local auths = require "green.http.auth"
local body = require "green.http.body"
local coding = require "green.http.coding"
local err = require "green.error"
local fields = require "green.http.fields"
local failure = require "green.http.failure"
local options = require "green.options"
local plans = require "green.http.plans"
local proxy = require "green.http.proxy"
local redirect = require "green.http.redirect"
local retry = require "green.http.retry"
local targets = require "green.http.target"
local task = require "green.task"
local transport = require "green.http.transport"

local NONE = {}

local M = {}

M.DEFAULTS = { keep_alive = true, timeout = 30, connect_timeout = 5, redirects = 10, max_body = 64 * 1024 * 1024, verify = true, decode = true }

M.SETTINGS = { -- what a client takes
  headers = "table", timeout = "seconds", connect_timeout = "seconds", verify = "boolean", ca = "string", redirects = "bytes|boolean",
  max_body = "bytes", auth = "table", base_url = "string", decode = "boolean", proxy = "string|boolean", retry = "table|boolean",
  cookies = "table|boolean", keep_alive = "boolean", timeouts = "table", tls = "table", unix = "string", deny_private = "boolean", expect = "boolean",
  accept_trailers = "boolean",
}

M.OPTIONS = { -- what a request takes; the settings of a client are added below
  query = "table", json = "any", form = "table", body = "string|function|table", length = "bytes", multipart = "table", stream = "boolean",
  trailers = "table|function",
}
for name, kind in pairs(M.SETTINGS) do M.OPTIONS[name] = name ~= "base_url" and name ~= "cookies" and kind or nil end

local TIMEOUTS = { queue = "seconds", resolve = "seconds", connect = "seconds", proxy = "seconds", tls = "seconds", first_byte = "seconds", idle = "seconds" }
local TLS = { cert = "string", key = "string", min_version = { "1.2", "1.3" }, server_name = "string", pins = "table" }
local PASSED_ON = { "ca", "proxy", "retry", "auth", "timeouts", "tls", "unix", "deny_private", "expect", "accept_trailers" }

local OPS = { GET = "http.get", HEAD = "http.head", POST = "http.post", PUT = "http.put", PATCH = "http.patch", DELETE = "http.delete" }

local function op_of(method) return OPS[method] or "http.request" end

-- ---- options ----

--- Checks the options and returns them, with `redirects = false` as 0 and `retry` completed.
function M.normal(op, opts, known)
  opts = options.check(op, opts, known)
  for name, meaning in pairs { redirects = "how many, or false", proxy = "a URL, or false", retry = "a table, or false" } do
    if opts[name] == true then err.misuse("%s: option '%s': %s", op, name, meaning) end
  end
  if opts.auth then auths.check(op, opts.auth) end
  if opts.timeouts then options.check(op .. ": timeouts", opts.timeouts, TIMEOUTS, "phase") end
  if opts.tls then options.check(op .. ": tls", opts.tls, TLS) end
  if not opts.retry and opts.redirects ~= false then return opts end
  local copy = {}
  for name, value in pairs(opts) do copy[name] = value end
  if copy.redirects == false then copy.redirects = 0 end
  copy.retry = retry.check(op, copy.retry)
  return copy
end

local function choose(opts, settings, name)
  local value = opts[name]
  if value == nil then return settings[name] end
  return value
end

-- ---- headers: a flat list of names and values ----

local function add_headers(list, said, op, headers)
  local here = {}
  for name, value in pairs(headers) do
    local lower = tostring(name):lower()
    if not said[lower] then
      here[lower] = true
      for _, each in ipairs(type(value) == "table" and value or { value }) do fields.add(list, op, name, each) end
    end
  end
  for name in pairs(here) do said[name] = true end
  return here
end

local USUAL = { "Accept", "*/*", "Accept-Encoding", coding.ACCEPT } -- most requests share this list, which works because nobody changes a list

-- Returns the list of headers, and the set of names that come from the settings of a client with a base_url.
local function header_list(call, settings, opts, kind, auth)
  if not (opts.headers or settings.headers or kind or auth) and call.decode then return USUAL end
  local list, said, own = {}, {}, nil
  if opts.headers then add_headers(list, said, call.op, opts.headers) end
  if settings.headers then own = add_headers(list, said, call.op, settings.headers) end
  if not said.accept then fields.add(list, call.op, "Accept", "*/*") end
  if call.decode and not said["accept-encoding"] then fields.add(list, call.op, "Accept-Encoding", coding.ACCEPT) end
  if kind and not said["content-type"] then fields.add(list, call.op, "Content-Type", kind) end
  if auth and not said.authorization then fields.add(list, call.op, "Authorization", auths.field(auth)) end
  return list, settings.base_url and own
end

-- ---- sending ----

-- Returns the headers with the jar's cookies beside those that the caller gave. Lists are shared, so that a changed one is a copy.
local function with_cookies(jar, request)
  local cookies = jar and jar:header(request.url)
  if not cookies then return request.headers end
  local list = { table.unpack(request.headers) }
  for i = 1, #list, 2 do
    if list[i]:lower() == "cookie" then
      list[i + 1] = list[i + 1] .. "; " .. cookies
      return list
    end
  end
  list[#list + 1], list[#list + 2] = "Cookie", cookies
  return list
end

local function store_cookies(jar, request, headers, repeated)
  local list = jar and (repeated and repeated["set-cookie"] or { headers["set-cookie"] }) or NONE
  for _, line in ipairs(list) do jar:store(request.url, line) end
end

-- Copies into `table` those entries of `given` whose names it lacks, and returns it.
local function under(table, given)
  for name, value in pairs(given or NONE) do
    if table[name] == nil then table[name] = value end
  end
  return table
end

local function proxy_of(call, parts, port)
  if call.unix or call.deny_private and not call.proxy then return nil end -- a proxy looks names up by itself, which deny_private must not allow
  return proxy.select(call.op, call.proxy, parts, port)
end

-- Returns the transport's time-outs. A stream has `timeout` anew for each piece, since nobody knows how long all of it takes.
local function timeouts_of(call, left)
  local timeouts = under({ total = left, connecting = call.connect_timeout }, call.timeouts)
  if call.stream then timeouts.idle = timeouts.idle or call.timeout end
  return timeouts
end

-- Returns the TLS settings. Our certificate and the name to check are meant for the origin that was asked for, so that a redirect to
-- another one goes without them.
local function tls_of(call, request)
  local tls = under({ verify = call.verify, ca = call.ca }, call.tls)
  if request.away then tls.cert, tls.key, tls.server_name = nil, nil, nil end
  return tls
end

local function spec_of(call, request, left, expect)
  local parts, content = request.parts, request.body
  local port = parts.port or redirect.PORTS[parts.scheme]
  return {
    op = call.op, url = request.url, method = request.method, scheme = parts.scheme, host = parts.host:match "^%[(.*)%]$" or parts.host, port = port,
    target = request.target or targets.line(parts), headers = with_cookies(call.cookies, request),
    body = content and content.bytes, length = content and content.length, trailers = content and content.trailers, trailer = content and content.announced,
    proxy = proxy_of(call, parts, port), unix = call.unix, deny_private = call.deny_private,
    tls = parts.scheme == "https" and tls_of(call, request) or nil,
    timeouts = timeouts_of(call, left),
    collect = not call.stream and call.max_body or nil, close = call.keep_alive == false, expect = expect,
    accept_trailers = call.accept_trailers,
  }
end

local function transmit(call, request, left, expect)
  local spec, content = spec_of(call, request, left, expect), request.body
  if not content or content.bytes then return transport.send(spec) end
  local source = content.open()
  spec.source = source
  function spec.body()
    content.begun = true
    return source()
  end
  return transport.send(spec)
end

-- Sends one request and waits for its answer; returns what transport.send does. A server that does not meet the expectation is asked once more
-- without it (RFC 9110, 10.1.1).
local function send(call, request, left)
  if request.plan then return transport.again(request.plan) end
  local content = request.body
  if not call.expect or not content then return transmit(call, request, left) end
  local began = task.now()
  local got, repeated, reader = transmit(call, request, left, true)
  if got.status ~= 417 or content.once and content.begun then return got, repeated, reader end
  if reader then reader:close() end
  return transmit(call, request, math.max(0, left - (task.now() - began)))
end

-- Returns the function fail(code, format, ...), which raises an error of a request that was sent.
local function failing(call, request, phase)
  return function(code, format, ...) failure.raise(call.op, phase, code, "%s %s: " .. format, request.method, request.url, ...) end
end

-- Returns the bytes or the reader without the body's codings, and changes the headers so that they describe the decoded body.
local function decode(call, request, got, reader)
  local headers = got.headers
  local encoding = headers["content-encoding"]
  if not encoding or request.method == "HEAD" or got.status == 304 then return got.body, reader end
  local fail = failing(call, request, "body")
  local decoders, rest = coding.decoders(encoding, fail)
  if not decoders then return got.body, reader end
  headers["content-encoding"] = rest
  local length = headers["content-length"]
  headers["content-length"] = nil
  if reader then return nil, coding.reader(reader, decoders, fail) end
  local bytes = coding.decode(got.body, decoders, call.max_body, fail)
  headers["content-length"] = length and tostring(#bytes)
  return bytes
end

-- Joins the lines of Content-Encoding, which together are one list.
local function join_codings(headers, repeated)
  local list = repeated and repeated["content-encoding"]
  if not list then return end
  headers["content-encoding"], repeated["content-encoding"] = table.concat(list, ", "), nil
end

-- Returns the response, which is the transport's answer with the fields that scripts do not read taken out.
local function finish(call, request, got, repeated, reader)
  join_codings(got.headers, repeated)
  if call.decode then got.body, reader = decode(call, request, got, reader) end
  local trailers = got.trailers
  got.trailers, got.url = nil, request.url
  return answer.new(got, got.headers, repeated, reader, trailers)
end

-- Closes the reader when the scope is left, unless the caller was given it.
local Open = { __close = function(open) if open.reader then open.reader:close() end end }

-- Returns the request that a redirect leads to. A unix socket stands for one origin, so that other origins are refused.
local function follow(call, request, status, locations)
  local fail = failing(call, request, "redirect")
  local next = redirect.follow(request, status, locations, fail)
  if next.away and call.unix then fail("EINVAL", "it leads to %s, which is not behind the unix socket", redirect.origin(next.parts)) end
  return next
end

-- Makes one try: sends a request, and those that redirects lead to, until an answer leads nowhere.
local function perform(call, request)
  local ends, first = task.now() + call.timeout, request
  for hop = 0, call.redirects do
    local left = hop == 0 and call.timeout or math.max(0, ends - task.now())
    local got, repeated, reader = send(call, request, left)
    local open <close> = reader and setmetatable({ reader = reader }, Open)
    store_cookies(call.cookies, request, got.headers, repeated)
    local locations = call.redirects > 0 and redirect.location(got.status, got.headers, repeated)
    if not locations then
      local response = finish(call, request, got, repeated, reader)
      if open then open.reader = nil end
      return response
    end
    if reader then reader:close() end
    if not first.plan then first.led_on = true end -- nobody changes a plan
    request = follow(call, request, got.status, locations)
  end
  failing(call, request, "redirect")("ELOOP", "more than %d redirects", call.redirects)
end

-- ---- the beginning ----

local function new_call(op, settings, opts)
  local call = { op = op, stream = opts.stream, cookies = settings.cookies }
  for name in pairs(M.DEFAULTS) do call[name] = choose(opts, settings, name) end
  for _, name in ipairs(PASSED_ON) do call[name] = choose(opts, settings, name) end
  if call.unix and call.proxy then err.misuse("%s: options 'unix' and 'proxy' exclude each other", op) end
  return call
end

-- The calls of requests without options, which are all alike: for each client's settings, by the operation.
local usual = setmetatable({}, { __mode = "k", __index = function(all, settings)
  all[settings] = {}
  return all[settings]
end })

-- Returns the call of a request: each setting, as the options or else the client have it.
local function call_of(op, settings, opts)
  if opts ~= NONE then return new_call(op, settings, opts) end
  local calls = usual[settings]
  calls[op] = calls[op] or new_call(op, settings, NONE)
  return calls[op]
end

-- Returns the request and its call.
local function prepare(op, settings, method, target, opts)
  opts = opts == nil and NONE or M.normal(op, opts, M.OPTIONS)
  local call = call_of(op, settings, opts)
  local it = targets.of(op, settings, target, opts.query)
  local content = body.encode(op, opts)
  if method == "HEAD" and content then err.misuse("http.head: a HEAD request has no body") end
  if opts.expect and not content then err.misuse("%s: option 'expect': there is no body", op) end
  targets.check_tls(op, it.parts, opts, call.redirects)
  local headers, own = header_list(call, settings, opts, content and content.type, call.auth or it.credentials)
  return { method = method, url = it.url, parts = it.parts, target = it.target, headers = headers, body = content, own = own }, call
end

-- Can a request without options be sent again as it is? Not when its headers depend on a jar, its connection on files of certificates, or its next
-- try on this one.
local function is_constant(call, request)
  return not (request.body or call.cookies or call.retry or request.parts.scheme == "https" and (call.ca or call.tls))
end

--- Sends a request with a client's settings and waits for its response.
function M.run(settings, method, target, opts)
  local plan = opts == nil and plans.get(settings, method, target)
  if plan then return perform(plan.call, plan) end
  local ok, request, call = pcall(prepare, op_of(method), settings, method, target, opts)
  if not ok then error(failure.mark(request, "request", false), 0) end
  if opts == nil and is_constant(call, request) then
    plans.note(settings, method, target, function()
      request.plan, request.call = transport.plan(spec_of(call, request, call.timeout)), call
      return request
    end)
  end
  if not call.retry then return perform(call, request) end
  return retry.run(call.retry, request, call.timeout, function() return perform(call, request) end)
end

return M
