-- SPDX-License-Identifier: MIT
-- Internal.
-- Serving what a script returned: open the addresses, wait to be told to stop, let requests finish.
-- Returns the exit code of the process.
local native = require "green.http.native"
local signal = require "green.signal"
local task = require "green.task"
local native_task = require "green.task.native"
local timer = require "green.timer.native"
require "green.request" -- an app does it, too; a handler function needs no app

local DEFAULT = "127.0.0.1:8080"
local CLEAN_UP = 1 -- seconds
local BACKSTOP = CLEAN_UP + 2 -- seconds after the grace at which the process ends, whatever a script does by then
local NUMBER = { INT = 2, TERM = 15 }

local function say(...)
  io.stderr:write("greenlua: ", string.format(...), "\n")
end

-- Returns "permission denied" of "http.listen: 127.0.0.1:80: permission denied": the caller says the rest itself.
local function reason(err, address)
  if type(err) ~= "table" or not err.message then return tostring(err) end
  local text = err.message
  for _, prefix in ipairs { (err.op or "") .. ": ", address .. ": " } do
    if text:sub(1, #prefix) == prefix then text = text:sub(#prefix + 1) end
  end
  return text
end

-- Requests may finish within `grace` seconds; what runs then is cancelled, and gets a moment to clean up. `fresh`: those of
-- connections that were just made, too.
local function close(server, grace, fresh)
  local ok, err = pcall(server.finish, server, grace, fresh)
  if ok then return end
  server:abort()
  if err.code ~= "ETIMEDOUT" then error(err, 0) end
  pcall(server.finish, server, CLEAN_UP)
end

local function close_all(servers, grace, fresh)
  local closing = {}
  for i, server in ipairs(servers) do closing[i] = task.spawn(close, server, grace, fresh) end
  for _, one in ipairs(closing) do one:join() end
end

local function is_app(value) return type(value) == "table" and require("green.app").is(value) end

-- An app or a handler function, in place of which reload() puts what the file returns by then.
local function place(value, name)
  local self = { now = value }
  local servers = {}

  function self.listen(address, options)
    local server = is_app(value) and value:listen(address, options) or native.listen(address, value, options)
    servers[#servers + 1] = server
    return server
  end

  local function put(newer)
    local older = self.now
    self.now = newer
    for _, server in ipairs(servers) do
      if is_app(older) then older:leave(server) end
      if is_app(newer) then newer:serve_on(server) else server:replace(newer) end
    end
  end

  if name ~= "-" then
    function self.reload()
      local chunk = assert(loadfile(name))
      local newer = chunk(table.unpack(arg or {}))
      if type(newer) ~= "function" and not is_app(newer) then error(name .. ": it does not return an app any more", 0) end
      put(newer)
    end
  end
  return self
end

-- Completes an address as people write it: "8080" is a port of this machine alone, ":8080" one of all its addresses.
local function whole(address)
  if address:find "^%d+$" then return "127.0.0.1:" .. address end
  if address:find "^:%d+$" then return "0.0.0.0" .. address end
  return address
end

-- Returns where "tls://host:port" means, and whether it means TLS.
local function split(address)
  local where = address:match "^tls://(.*)$"
  return whole(where or address), where ~= nil
end

-- Says what is wrong with --cert, --key and the addresses, and returns nil; or returns true.
local function check_tls(addresses, options)
  local secure
  for _, address in ipairs(addresses) do
    if select(2, split(address)) then secure = secure or address end
  end
  local file = options.cert and "--cert" or options.key and "--key"
  if secure and not options.cert then return say("cannot listen on %s: --cert FILE is missing", secure) end
  if file and not secure then return say("%s: no --listen tls://ADDR has a use for it", file) end
  return true
end

-- The options of a server, nil without TLS.
local function server_options(secure, options)
  return secure and { tls = { cert = options.cert, key = options.key } } or nil
end

local function listen_all(open, addresses, options)
  local servers = {}
  if not check_tls(addresses, options) then return nil end
  for i, address in ipairs(addresses) do
    local where, secure = split(address)
    local ok, server = pcall(open, where, server_options(secure, options))
    if not ok then
      say("cannot listen on %s: %s", address, reason(server, where))
      close_all(servers, 0)
      return nil
    end
    servers[i] = server
  end
  return servers
end

-- Takes the files of --cert and --key anew, as they are after a renewal, for connections from now on.
local function renew_certificates(servers, options)
  local tls = server_options(true, options).tls
  for _, server in ipairs(servers) do
    local ok, err = true, nil
    if server:scheme() == "https" then ok, err = pcall(server.set_tls, server, tls) end
    if not ok then return say("the certificates stay as they were: %s", reason(err, "")) end
  end
  say("took the certificates anew (SIGHUP)")
end

-- Starts the task that waits for SIGHUP, and returns it; nil when no server has TLS, and SIGHUP means what it always does.
local function start_renewals(servers, options)
  if not options.cert then return nil end
  return task.spawn(function()
    while signal.wait "HUP" do task.spawn(renew_certificates, servers, options) end -- beside this task, which is to wait at once
  end)
end

local function url(server)
  local address = server:address()
  return address:match "^unix:" and address or server:scheme() .. "://" .. address
end

-- Exits at the next signal: who asks a second time does not want to wait.
local function exit_on_second_signal()
  local name = signal.wait("INT", "TERM")
  os.exit(128 + NUMBER[name])
end

local M = {}

-- The servers, with options.console (green.repl.console) for `served`; or nil, and it was said why.
local function open(listen, options, served)
  warn "@errors" -- in finalizers
  signal.ignore "PIPE" -- nobody reading our stdout is no reason to stop serving
  local servers = listen_all(listen, #options.listen > 0 and options.listen or { DEFAULT }, options)
  if not servers or not options.console then return servers end
  local ok, err = pcall(require("green.repl.console").start, options.console, served, options.handler)
  if not ok then
    say("cannot open the console %s: %s", options.console, reason(err, "unix:" .. options.console))
    close_all(servers, 0)
    return nil
  end
  servers.close_console = err
  return servers
end

-- Starts to work on the jobs that the script defines, now or when it is loaded anew (green.jobs), and returns what stops that.
local function start_jobs()
  local jobs = require "green.jobs.place"
  local function worker() return package.loaded["green.jobs.process"] end
  jobs.served = true
  if worker() then worker().defined() end
  return function(grace)
    jobs.served = false
    if worker() then worker().stop(grace) end
  end
end

--- Serves an app or a handler function: { name, app() -> what is served now, reload(), stop() }; or nil, and it was said why.
--- options: listen, cert, key, grace, name of the script, dev, console, handler of messages. Waits.
function M.start(value, options)
  local dev = options.dev and require "green.dev"
  local own = not dev and place(value, options.name)
  local served = {
    name = options.name,
    app = dev and dev.app or function() return own.now end,
    reload = dev and options.name ~= "-" and dev.reload or own and own.reload or nil,
  }
  local known, wrong = pcall(require("green.jobs.place").at_once)
  if not known then
    say("%s", reason(wrong, ""))
    return nil
  end
  local servers = open(dev and function(...) return dev.listen(value, ...) end or own.listen, options, served)
  if not servers then return nil end

  local renewals = start_renewals(servers, options)
  local stop_jobs = start_jobs()

  function served.stop()
    if renewals then renewals:cancel() end
    if dev then dev.stop() end
    if servers.close_console then servers.close_console() end
    local working = task.spawn(stop_jobs, options.grace)
    close_all(servers, options.grace, not dev) -- browsers connect to be ready: no developer waits for those
    working:join()
  end

  task.sleep(0) -- whoever waits for a signal does by now: who reads that we serve may stop us
  for _, server in ipairs(servers) do say("serving %s on %s", options.name, url(server)) end
  return served
end

-- Waits at most so long for the tasks that requests left behind, and for those that waited for the signal. Other tasks have no end
-- of their own, and are cancelled when this one ends.
local function wait_for_tasks(seconds)
  local last = timer.now() + seconds
  while native_task.graced() > 0 and timer.now() < last do task.sleep(0.01) end
end

--- Serves what a script returned until a signal says stop: the exit code.
function M.run(value, options)
  local stop = task.spawn(signal.wait, "INT", "TERM")
  local served = M.start(value, options)
  if not served then
    stop:cancel()
    return 1
  end
  native_task.backstop(options.grace + BACKSTOP)
  local name = stop:join()
  say("stopping (SIG%s)", name)
  local impatient, stopped = task.spawn(exit_on_second_signal), timer.now()
  served.stop()
  wait_for_tasks(stopped + options.grace - timer.now())
  impatient:cancel()
  return 0
end

return M
