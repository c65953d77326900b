-- SPDX-License-Identifier: MIT
-- Asks for more than there is in all ways that fill buffers of C (memory_spec.lua): says of each how it ended, and fails if
-- what it had is not given back. `greenlua --max-memory 32M tests/core/memory_hogs.lua FILE`, a file of 100 MB of zeros.
local memory = require("green.debug").memory
local db = require "green.db"
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local process = require "green.process"
local task = require "green.task"

local FILE <const> = arg[1]

local function hog(name, fn, ...)
  local ok, err = pcall(fn, ...)
  print(name .. ": " .. (ok and "?" or tostring(err):match "not enough memory" or tostring(err)))
  task.sleep(0)
  collectgarbage()
  if memory().used > 2 << 20 then error(name .. " keeps " .. memory().used) end
end

local kept = io.open "/dev/zero"
hog("read", function() return kept:read "a" end)
hog("lines", function() for line in io.lines(FILE) do return #line end end)
hog("number", function()
  local file <close> = io.open(FILE)
  return file:read(90 << 20)
end)
hog("popen", function()
  local pipe <close> = io.popen "cat /dev/zero"
  return pipe:read "a"
end)
hog("popen lines", function()
  local pipe <close> = io.popen "cat /dev/zero"
  for line in pipe:lines() do return #line end
end)
hog("load", function() return assert(loadfile(FILE)) end)
hog("capture", process.capture, { "cat", "/dev/zero" }, { max_output = 1 << 40 })
hog("fs.read", fs.read, FILE, 1 << 40)
hog("file", function()
  local file <close> = fs.open(FILE)
  return file:read(60 << 20)
end)

local memory_db = db.connect "sqlite::memory:"
hog("rows", function() return memory_db:query "with recursive n(i) as (select 1 union all select i + 1 from n limit 10000000) select i, 'some text' from n" end)
hog("blob", function() return memory_db:value "select zeroblob(60000000)" end)
memory_db:close()

-- An answer without end.
local listener = net.listen "127.0.0.1:0"
local server = task.spawn(function()
  local socket <close> = listener:accept()
  socket:write "HTTP/1.1 200 OK\r\n\r\n"
  pcall(function() while true do socket:write(("x"):rep(65536)) end end)
end)
hog("body", http.get, "http://" .. listener:address(), { max_body = 1 << 40 })
listener:close()
server:join()
kept:close()
