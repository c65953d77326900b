-- SPDX-License-Identifier: MIT
-- Needs: databases
-- Who waits within a C module is seen: green.debug.tasks() and SIGUSR1 name the call, the descriptor's other end, and the module.
require "helper"
local debug = require "green.debug"
local net = require "green.net"
local shell = require "shell"
local start = require "peers.databases"
local task = require "green.task"

-- Waits until some task waits so, and returns that.
local function seen(pattern)
  while true do
    for _, one in ipairs(debug.tasks()) do
      if one.waits_for and one.waits_for:find(pattern) then return one.waits_for end
    end
    task.sleep(0.001)
  end
end

local function ended(one)
  one:cancel()
  assert.equal("cancelled", one:wait(60))
end

-- gssencmode: Kerberos' library leaves tables behind that ASan would count as lost.
describe("a task that waits within a C module", function()
  it("says for which database, and in which driver", function()
    local servers <close> = start "postgres"
    local env = require "luasql.postgres".postgres()
    local conn = assert(env:connect(("host=127.0.0.1 port=%d user=green dbname=postgres gssencmode=disable"):format(servers.postgres.port)))
    local one = task.spawn(conn.execute, conn, "SELECT pg_sleep(100)")
    assert.equal(("libc.poll 127.0.0.1:%d (luasql/postgres.so)"):format(servers.postgres.port), seen "luasql")
    ended(one)
    conn:close()
    env:close()
  end)

  it("says for which peer, and whether it reads or connects", function()
    local socket = require "socket"
    local listener <close> = net.listen "127.0.0.1:0"
    local host, port = listener:address():match "^(.*):(%d+)$"
    local client = assert(socket.connect(host, port))
    local one = task.spawn(client.receive, client)
    assert.matches("^libc%.%l+ 127%.0%.0%.1:" .. port .. " %(socket/core%.so%)$", seen "socket/core")
    ended(one)
    client:close()
  end)

  it("says in which module it sleeps", function()
    local socket = require "socket"
    local one = task.spawn(socket.sleep, 100)
    assert.equal("libc.sleep (socket/core.so)", seen "libc.sleep")
    ended(one)
  end)

  it("is shown by SIGUSR1, too", function()
    local out = shell("$lua x.lua 2> said", { ["x.lua"] = [[
      local net, socket, task = require "green.net", require "socket", require "green.task"
      local listener = net.listen "127.0.0.1:0"
      local host, port = listener:address():match "^(.*):(%d+)$"
      local client = assert(socket.connect(host, port))
      task.spawn(client.receive, client)
      local pid = io.open "/proc/self/stat":read "n"
      local text
      repeat
        os.execute("kill -USR1 " .. pid)
        task.sleep(0.01)
        text = io.open "said":read "a"
        local line = text:match "waiting for (libc%.[^\n]*) since"
      until line and print(line:gsub(port, "PORT")) == nil
      os.exit(0)]] })
    assert.matches("^libc%.%l+ 127%.0%.0%.1:PORT %(socket/core%.so%)\t1\n$", out)
  end)
end)
