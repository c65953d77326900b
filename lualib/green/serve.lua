-- SPDX-License-Identifier: MIT
-- Serving what a script returned: open the addresses, wait to be told to stop, let requests finish.
-- Returns the exit code of the process.
local native = require "green.http.native"
local request = require "green.request"
local signal = require "green.signal"
local task = require "green.task"

request.install(native.request) -- an app does it, too; a handler function needs no app

local DEFAULT = "127.0.0.1:8080"
local CLEAN_UP = 1 -- seconds
local NUMBER = { INT = 2, TERM = 15 }

local function say(...)
  io.stderr:write("greenlua: ", string.format(...), "\n")
end

-- "http.listen: 127.0.0.1:80: permission denied" without what the caller says anyway.
local function reason(err, address)
  if type(err) ~= "table" or not err.message then return tostring(err) end
  local text = err.message
  for _, prefix in ipairs { (err.op or "") .. ": ", address .. ": " } do
    if text:sub(1, #prefix) == prefix then text = text:sub(#prefix + 1) end
  end
  return text
end

-- Requests may finish within `grace` seconds; what runs then is cancelled, and gets a moment to clean up.
local function close(server, grace)
  local ok, err = pcall(server.finish, server, grace)
  if ok then return end
  server:abort()
  if err.code ~= "ETIMEDOUT" then error(err, 0) end
  pcall(server.finish, server, CLEAN_UP)
end

local function close_all(servers, grace)
  local closing = {}
  for i, server in ipairs(servers) do closing[i] = task.spawn(close, server, grace) end
  for _, one in ipairs(closing) do one:join() end
end

-- An app listens by itself, so that it knows its address; a handler function is all there is to one.
local function listen(value, address, dev)
  if dev then return dev.listen(value, address) end
  if type(value) == "table" then return value:listen(address) end
  return native.listen(address, value)
end

local function listen_all(open, addresses)
  local servers = {}
  for i, address in ipairs(addresses) do
    local ok, server = pcall(open, address)
    if not ok then
      say("cannot listen on %s: %s", address, reason(server, address))
      close_all(servers, 0)
      return nil
    end
    servers[i] = server
  end
  return servers
end

local function url(address)
  return address:match "^unix:" and address or "http://" .. address
end

-- Whoever asks a second time does not want to wait.
local function exit_on_second_signal()
  local name = signal.wait("INT", "TERM")
  os.exit(128 + NUMBER[name])
end

local M = {}

--- Opens options.listen by open(address) -> server, and options.console, for `served` (green.repl.console), and says so: the
--- servers; or nil, and it was said why.
function M.start(open, options, served)
  local addresses = #options.listen > 0 and options.listen or { DEFAULT }
  signal.ignore "PIPE" -- nobody reading our stdout is no reason to stop serving
  local servers = listen_all(open, addresses)
  if not servers then return nil end
  if options.console then
    local opened, err = pcall(require("green.repl.console").start, options.console, served, options.handler)
    if not opened then
      say("cannot open the console %s: %s", options.console, reason(err, "unix:" .. options.console))
      close_all(servers, 0)
      return nil
    end
    servers.close_console = err
  end
  task.sleep(0) -- whoever waits for a signal does by now: who reads that we serve may stop us
  for _, server in ipairs(servers) do say("serving %s on %s", options.name, url(server:address())) end
  return servers
end

function M.stop(servers, grace)
  if servers.close_console then servers.close_console() end
  close_all(servers, grace)
end

--- Serves what a script returned until a signal says stop: the exit code.
function M.run(value, options)
  local stop = task.spawn(signal.wait, "INT", "TERM")
  local dev = options.dev and require "green.dev"
  local servers = M.start(function(address) return listen(value, address, dev) end, options, {
    name = options.name, app = function() return dev and dev.app() or value end,
  })
  if not servers then
    stop:cancel()
    return 1
  end
  local name = stop:join()
  say("stopping (SIG%s)", name)
  if dev then dev.stop() end
  local impatient = task.spawn(exit_on_second_signal)
  M.stop(servers, options.grace)
  impatient:cancel()
  return 0
end

return M
