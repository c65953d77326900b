-- SPDX-License-Identifier: MIT
-- Large bodies up and down: CPU per MB and memory of our client beside curl's, against the same server, a process of ours; and CPU per MB of that
-- server beside nginx, where each sends a file.
--
--     build/greenlua tests/bench/bodies.lua          # 1 GB each way
--     build/greenlua tests/bench/bodies.lua 200      # 200 MB
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local process = require "green.process"
local task = require "green.task"

local LUA = fs.readlink "/proc/self/exe"
local MB = 1 << 20
local MOST = 64 -- MB by which our client may grow

local role, url, path = ...

local function status(name) return tonumber(fs.read "/proc/self/status":match(name .. ":%s*(%d+) kB")) / 1024 end

-- ---- the client under measurement, a process of its own ----

local function measured(act)
  http.get(url .. "/warm")
  collectgarbage()
  local file <close> = fs.open("/proc/self/clear_refs", "w")
  file:write "5" -- the peak of memory begins anew
  local before, cpu = status "VmRSS", os.clock()
  act()
  print(("%.3f %.1f"):format(os.clock() - cpu, status "VmHWM" - before))
end

local roles = {}

function roles.up()
  measured(function() assert(http.put(url .. "/up", { body = { file = path }, timeout = 600 }).status == 200) end)
end

function roles.down()
  measured(function() assert(http.download(url .. "/down", path, { timeout = 600 }).status == 200) end)
end

function roles.read()
  measured(function()
    for _ in http.get(url .. "/down", { stream = true, timeout = 600 }):chunks() do end
  end)
end

if roles[role] then
  roles[role]()
  return
end

-- ---- the server, and the comparison ----

local size = (tonumber(role) or 1024) * MB
local dir <close> = fs.temp_dir()
local file = fs.open(dir.path .. "/file", "w")
for _ = 1, size // MB do file:write(("0123456789abcdef"):rep(MB // 16)) end
file:close()

local site = ([[
  local app, response = require "green.app".new(), require "green.response"
  app:get("/warm", function() return "" end)
  app:get("/down", function() return response.file(%q) end)
  app:put("/up", function(req)
    for _ in req:chunks() do end
    return "ok"
  end)
  return app:listen("127.0.0.1:0", { max_body = 1 << 30 }):address()
]]):format(dir.path .. "/file")
fs.write(dir.path .. "/site.lua", "print((function() " .. site .. " end)())\nio.stdout:flush()\nio.read()\nos.exit(0)\n")
local server <close> = process.spawn({ LUA, dir.path .. "/site.lua" }, { stdin = "pipe", stdout = "pipe" })
local address = "http://" .. server.stdout:read(100):match "%S+"

local function row(name, seconds, memory)
  print(("%-28s %8.3f ms CPU per MB   %s"):format(name, seconds * 1000 / (size / MB), memory and ("grew by %.1f MB"):format(memory) or ""))
end

local function ours(what)
  local seconds, memory = process.capture({ LUA, arg[0], what, address, dir.path .. (what == "up" and "/file" or "/got") }).stdout:match "(%S+) (%S+)"
  row("greenlua " .. what, tonumber(seconds), tonumber(memory))
  assert(tonumber(memory) < MOST, "it grew")
end

local function curl(name, ...)
  local out = process.capture { "bash", "-c", 'TIMEFORMAT="%U %S"; time "$@" > /dev/null 2>&1', "bash", "curl", "-s", "-f", ... }.stderr
  local user, system = out:match "(%S+) (%S+)"
  row("curl " .. name, tonumber(user) + tonumber(system))
end

-- ---- servers ----

local function capture(command, ...) assert(process.capture({ command, ... }).code == 0, command) end

local function free_port()
  local listener <close> = net.listen "127.0.0.1:0"
  return listener:address():match "%d+$"
end

-- Returns nginx, and its URL; nil where there is none.
local function nginx()
  if process.capture({ "sh", "-c", "command -v nginx" }).code ~= 0 then return nil end
  local port, temp = free_port(), ""
  for _, name in ipairs { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" } do temp = temp .. ("%s_temp_path %s/%s; "):format(name, dir.path, name) end
  fs.write(dir.path .. "/nginx.conf", ([[
    daemon off; master_process off; worker_processes 1; pid %s/pid; error_log %s/error.log;
    events {}
    http { access_log off; sendfile on; %s server { listen 127.0.0.1:%s; root %s; } }
  ]]):format(dir.path, dir.path, temp, port, dir.path))
  local peer = process.spawn { "nginx", "-e", dir.path .. "/error.log", "-c", dir.path .. "/nginx.conf" }
  local at = "http://127.0.0.1:" .. port
  while not pcall(http.get, at .. "/nginx.conf") do task.sleep(0.01) end
  return peer, at
end

local TICK = 0.01 -- seconds

local function cpu_of(pid)
  local fields = {}
  for field in fs.read(("/proc/%d/stat"):format(pid)):match "%) (.*)":gmatch "%S+" do fields[#fields + 1] = field end
  return (fields[12] + fields[13]) * TICK
end

local function serves(name, pid, at)
  local before = cpu_of(pid)
  capture("curl", "-s", "-f", at, "-o", "/dev/null")
  row(name .. " serves", cpu_of(pid) - before)
end

local peer <close>, peer_url = nginx()
for _ = 1, 2 do
  serves("greenlua", server.pid, address .. "/down")
  if peer then serves("nginx", peer.pid, peer_url .. "/file") end
  ours "up"
  curl("up", "-T", dir.path .. "/file", address .. "/up")
  ours "down"
  curl("down", "-o", dir.path .. "/curl", address .. "/down")
  ours "read"
  curl("read", address .. "/down", "-o", "/dev/null")
end
