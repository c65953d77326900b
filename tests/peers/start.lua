-- SPDX-License-Identifier: MIT
-- Programs of others that serve: started on 127.0.0.1, as whoever runs the specs, and ended by their process.
local fs = require "green.fs"
local net = require "green.net"
local process = require "green.process"
local task = require "green.task"

local M = {}

local WAIT = 60 -- seconds, for a program to say that it serves

-- Whatever ends this process ends them.
local function bound(words)
  return table.move(words, 1, #words, 4, { "setpriv", "--pdeathsig", "KILL" })
end

local function spawn(words, options)
  options.keep, options.stderr = true, options.stderr or "null"
  return process.spawn(bound(words), options)
end

-- Is the program there? Daemons are not in every user's PATH.
function M.installed(program)
  return process.capture { "sh", "-c", "PATH=$PATH:/usr/sbin command -v " .. program }.code == 0
end

function M.is_root() return process.capture({ "id", "-u" }).stdout == "0\n" end

-- Starts a program that prints the ports it serves on. Returns the process and the ports.
function M.printing(words, env)
  local child = spawn(words, { stdout = "pipe", env = env })
  local line = child.stdout:read("l", WAIT)
  if not line then error(table.concat(words, " ") .. " ended and served nothing") end
  local ports = {}
  for port in line:gmatch "%d+" do ports[#ports + 1] = math.tointeger(port) end
  return child, table.unpack(ports)
end

-- Ports that are free now; somebody else may have one of them next.
local function free_ports(count)
  local listeners, ports = {}, {}
  for i = 1, count do
    listeners[i] = net.listen "127.0.0.1:0"
    ports[i] = math.tointeger(listeners[i]:address():match ":(%d+)$")
  end
  for _, listener in ipairs(listeners) do listener:close() end
  return ports
end

-- Has it written that it serves? false: it ended before.
local function serves(child, log, ready)
  local deadline = os.time() + WAIT
  while os.time() < deadline do
    local ended = not child:kill(0)
    if fs.exists(log) and fs.read(log):find(ready) then return true end
    if ended then return false end
    task.sleep(0.01)
  end
  error(log .. " does not say " .. ready)
end

-- Starts a program that takes ports from its configuration: configure(ports) writes that and returns the program's words.
-- It serves once its log matches `ready`; a port may be another's by then, and others are tried.
-- options: count of ports, or the ports; log, ready. Returns the process and the ports.
function M.configured(configure, options)
  for _ = 1, 5 do
    local ports = options.ports or free_ports(options.count)
    if fs.exists(options.log) then fs.remove(options.log) end
    local child = spawn(configure(ports), { stdout = "null" })
    if serves(child, options.log, options.ready) then return child, table.unpack(ports) end
    child:close()
    if options.ports then task.sleep(0.2) end -- what it was before may not be gone yet
  end
  error("it does not start: " .. fs.read(options.log))
end

return M
