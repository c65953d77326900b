-- SPDX-License-Identifier: MIT
-- host/libc/ under C modules of the Lua world that wait by themselves: LuaSocket, LuaSec, and the loops of luv and cqueues.
-- READS=1000 HANDSHAKES=200 TASKS=20 CALLS=100 is the long form.
-- Needs: modules
require "helper"
local certificates = require "net.certificates"
local fs = require "green.fs"
local net = require "green.net"
local outcome = require "outcome"
local sharing = require "libc.share"
local socket = require "socket"
local task = require "green.task"

local waiting = outcome.waiting
local WAIT = 60 -- seconds, for what is bound to come
local READS = tonumber(os.getenv "READS") or 200
local HANDSHAKES = tonumber(os.getenv "HANDSHAKES") or 20

local function descriptors() return #fs.list "/proc/self/fd" end

-- A listener, each of whose clients is served by a task of its own.
local function serve(options, each)
  local listener = net.listen(options)
  local server = task.spawn(function()
    while true do
      local client = listener:accept(math.huge)
      task.spawn(function()
        local connection <close> = client
        pcall(each, connection)
      end)
    end
  end)
  return math.tointeger(listener:address():match ":(%d+)$"), function()
    server:cancel()
    server:wait(WAIT)
    listener:close()
  end
end

-- Reads until the text ends so; nil: the client is gone.
local function read_until(client, ending)
  local text = ""
  while text:sub(-#ending) ~= ending do
    local piece = client:read(65536, WAIT)
    if not piece then return nil end
    text = text .. piece
  end
  return text
end

-- Holds who comes until `count` are there.
local function gate(count)
  local here, open = 0, task.channel(count)
  return function()
    here = here + 1
    if here == count then for _ = 1, count do open:send(true) end end
    open:receive(WAIT)
  end
end

-- Answers each line with its length and the line, in two pieces, sometimes late.
local function answer_lines(client)
  for piece in function() return client:read(65536, WAIT) end do
    for line in piece:gmatch "[^\n]+" do -- each comes in one piece
      if math.random(3) == 1 then task.sleep(0.001) end
      client:write(#line .. "\n")
      client:write(line)
    end
  end
end

local function ask(client, text)
  if not client:send(text .. "\n") then return nil end
  local length = client:receive()
  return length and (client:receive(tonumber(length)))
end

describe("LuaSocket", function()
  it("is shared by tasks as one connection: each answer is its asker's or an error", function()
    local port, stop = serve("127.0.0.1:0", answer_lines)
    sharing.echo(function() return assert(socket.connect("127.0.0.1", port)) end, ask).connection:close()
    stop()
  end)

  it("has 20 requests of socket.http wait at once", function()
    local all_there = gate(20)
    local port, stop = serve("127.0.0.1:0", function(client)
      read_until(client, "\r\n\r\n")
      all_there()
      client:write "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    end)
    local http, tasks = require "socket.http", {}
    for i = 1, 20 do tasks[i] = task.spawn(http.request, ("http://127.0.0.1:%d/"):format(port)) end
    for i = 1, 20 do assert.equal("hello", (tasks[i]:join(WAIT))) end
    stop()
  end)

  it("gives everything back when reads are cancelled at random", function()
    local before = descriptors()
    local port, stop = serve("127.0.0.1:0", function(client)
      for line in function() return read_until(client, "\n") end do
        task.sleep(math.random() * 0.01)
        client:write(line)
      end
    end)
    local tasks, answers = {}, 0
    for i = 1, READS do
      tasks[i] = task.spawn(function()
        local client <close> = setmetatable({ assert(socket.connect("127.0.0.1", port)) }, { __close = function(self) self[1]:close() end })
        for k = 1, 3 do
          assert(client[1]:send(("%d %d\n"):format(i, k)))
          assert.equal(("%d %d"):format(i, k), client[1]:receive())
          answers = answers + 1
        end
      end)
    end
    for _ = 1, READS // 2 do
      tasks[math.random(READS)]:cancel()
      if math.random(4) == 1 then task.sleep(0.001) end
    end
    for i = 1, READS do tasks[i]:wait(WAIT) end
    assert.is_true(answers > 0)
    stop()
    while descriptors() > before do task.sleep(0.001) end
  end)
end)

describe("LuaSec", function()
  it("is shared by tasks as one connection: each answer is its asker's or an error", function()
    local certs <close> = certificates()
    local port, stop = serve({ host = "127.0.0.1", port = 0, tls = { cert = certs.site.cert, key = certs.site.key } }, answer_lines)
    local ssl = require "ssl"
    sharing.echo(function()
      local client = assert(ssl.wrap(assert(socket.connect("127.0.0.1", port)), { mode = "client", protocol = "any", verify = "none" }))
      assert(client:dohandshake())
      return client
    end, ask).connection:close()
    stop()
  end)

  it("shakes hands with many servers at once", function()
    local certs <close> = certificates()
    local port, stop = serve({ host = "127.0.0.1", port = 0, tls = { cert = certs.site.cert, key = certs.site.key } }, function(client)
      client:write(read_until(client, "\n"))
      client:read(1, WAIT)
    end)
    local ssl, tasks = require "ssl", {}
    for i = 1, HANDSHAKES do
      tasks[i] = task.spawn(function()
        local client = assert(ssl.wrap(assert(socket.connect("127.0.0.1", port)), { mode = "client", protocol = "any", verify = "none" }))
        assert(client:dohandshake())
        client:send(i .. "\n")
        local answer = client:receive()
        client:close()
        return answer
      end)
    end
    for i = 1, HANDSHAKES do assert.equal(tostring(i), tasks[i]:join(WAIT)) end
    stop()
  end)
end)

describe("a loop in a loop", function()
  -- Tasks that each run a loop until its timer fires, while another one ticks.
  local function run(count, loop)
    local tasks = {}
    for i = 1, count do tasks[i] = waiting(task.spawn(loop)) end
    for i = 1, count do tasks[i]:join(WAIT) end
  end

  it("of cqueues waits", function()
    local cqueues = require "cqueues"
    local fired = 0
    run(10, function()
      local controller = cqueues.new()
      controller:wrap(function()
        cqueues.sleep(0.05)
        fired = fired + 1
      end)
      assert(controller:loop())
    end)
    assert.equal(10, fired)
  end)

  it("of luv waits", function()
    local out = require "shell" [[timeout 60 $lua -e "
      local uv, task = require 'luv', require 'green.task'
      local woken = false
      local async = uv.new_async(function() woken = true end)
      local other = task.spawn(function() async:send() end) -- it runs as soon as this one waits
      while not woken do uv.run 'once' end
      other:join()
      async:close()
      uv.run() -- or luv crashes at the end, under lua as well
      print(woken)"]]
    assert.equal("true\n", out)
  end)
end)
