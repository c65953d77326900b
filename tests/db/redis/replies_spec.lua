-- SPDX-License-Identifier: MIT
-- host/db/redis/: replies, from a server that sends them as it likes: in pieces, several at once, broken, too large, or none.
local native = require "green.redis.native"
local net = require "green.net"
local outcome = require "outcome"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 60 -- seconds, for what is bound to come
local MAX_REPLY = 1 << 16

-- Runs use(connection, socket of the server).
local function pair(use)
  local listener <close> = net.listen "127.0.0.1:0"
  local conn <close> = native.take(net.connect(listener:address()), MAX_REPLY)
  local server <close> = listener:accept(WAIT)
  use(conn, server)
end

-- Calls while the server sends the pieces.
local function answered(pieces, ...)
  local got
  local command = { ... }
  pair(function(conn, server)
    local caller = task.spawn(function() return table.pack(pcall(conn.call, conn, WAIT, table.unpack(command))) end)
    server:read(1, WAIT)
    for _, piece in ipairs(pieces) do
      server:write(piece)
      task.sleep(0) -- so that it leaves by itself
    end
    got = caller:join()
  end)
  return got
end

local function bytes_of(text)
  local list = {}
  for i = 1, #text do list[i] = text:sub(i, i) end
  return list
end

local function null() return nil end

local function value_of(row)
  if row[2] ~= null then return row[2] end
end

-- The reply, and what it is in Lua.
local REPLIES = {
  { "+OK\r\n", "OK" }, { "+\r\n", "" }, { ":0\r\n", 0 }, { ":-42\r\n", -42 }, { ":9223372036854775807\r\n", math.maxinteger },
  { ":-9223372036854775808\r\n", math.mininteger }, { "$0\r\n\r\n", "" }, { "$3\r\na\0b\r\n", "a\0b" }, { "$4\r\n\r\n\r\n\r\n", "\r\n\r\n" },
  { "$-1\r\n", null }, { "*-1\r\n", null }, { "_\r\n", null }, { "#t\r\n", true }, { "#f\r\n", false }, { ",1.5\r\n", 1.5 },
  { ",inf\r\n", math.huge }, { ",-inf\r\n", -math.huge }, { ",10\r\n", 10.0 }, { "(3492890328409238509324850943850943825024385\r\n", "3492890328409238509324850943850943825024385" },
  { "=9\r\ntxt:hello\r\n", "hello" }, { "*0\r\n", {} }, { "*3\r\n:1\r\n$-1\r\n_\r\n", { 1, false, false } },
  { "*2\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n", { { "a", {} }, "b" } }, { "%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*1\r\n:2\r\n", { a = 1, b = { 2 } } },
  { "%0\r\n", {} }, { "~2\r\n+a\r\n+b\r\n", { "a", "b" } }, { "|1\r\n+ttl\r\n:5\r\n*1\r\n:7\r\n", { 7 } }, { "*1\r\n|1\r\n+x\r\n+y\r\n+z\r\n", { "z" } },
  { "|0\r\n:1\r\n", 1 }, { "+with \0 in it\r\n", "with \0 in it" },
}

-- What is no reply.
local WRONG = {
  "\r\n", "x\r\n", "+OK\n", "OK\r\n", ":\r\n", ":1x\r\n", ":99999999999999999999\r\n", "$\r\n", "$-2\r\n", "$3\r\nabcd\r\n", "$99999999999\r\n", "*-2\r\n",
  "*x\r\n", "%-1\r\n", "*99999999999\r\n", "$?\r\n", "!-1\r\n", "=-1\r\n", ("*1\r\n"):rep(65) .. ":1\r\n", "+" .. ("x"):rep(1 << 16) .. "\r\n",
}

describe("a reply", function()
  it("is a value of Lua", function()
    for _, row in ipairs(REPLIES) do
      local expected = value_of(row)
      local got = answered({ row[1] }, "GET", "k")
      assert.same({ true, expected, n = 2 }, got)
      assert.equal(math.type(expected), math.type(got[2]))
    end
  end)

  it("may come byte by byte", function()
    for _, row in ipairs(REPLIES) do
      assert.same({ true, value_of(row), n = 2 }, answered(bytes_of(row[1]), "GET", "k"))
    end
  end)

  it("that is an error is raised, with its code", function()
    for text, code in pairs { ["-WRONGTYPE Operation\r\n"] = "WRONGTYPE", ["-ERR no\r\n"] = "ERR", ["!8\r\nNOAUTH x\r\n"] = "NOAUTH", ["-oh no\r\n"] = "ERR", ["-\r\n"] = "ERR" } do
      local got = answered({ text }, "HGET", "k")
      assert.same({ false, code, "redis.hget" }, { got[1], got[2].code, got[2].op })
    end
    assert.equal("redis.get: ERR no such thing", tostring(answered({ "-ERR no such thing\r\n" }, "GET", "k")[2]))
  end)

  it("that is an error within a list is a value", function()
    local got = answered({ "*2\r\n-ERR no\r\n:1\r\n" }, "EXEC")[2]
    assert.same({ "ERR", 1 }, { got[1].code, got[2] })
  end)

  it("goes to the call that it answers, however many come at once", function()
    pair(function(conn, server)
      local calls = {}
      for i = 1, 100 do calls[i] = task.spawn(conn.call, conn, WAIT, "ECHO", i) end
      local asked = ""
      while select(2, asked:gsub("ECHO", "")) < 100 do asked = asked .. server:read(65536, WAIT) end
      local all = "" -- replies in the order of the calls, in which the tasks need not have begun
      for i in asked:gmatch "ECHO\r\n%$%d+\r\n(%d+)" do all = all .. (":%d\r\n"):format(i) end
      for at = 1, #all, 7 do
        server:write(all:sub(at, at + 6))
        task.sleep(0)
      end
      for i = 1, 100 do assert.equal(i, calls[i]:join()) end
    end)
  end)

  it("comes also when nobody waits for it any more, and is nobody else's", function()
    pair(function(conn, server)
      local asked = ""
      local function ask(key, count)
        local call = task.spawn(conn.call, conn, WAIT, "GET", key)
        while select(2, asked:gsub("GET", "")) < count do asked = asked .. server:read(65536, WAIT) end
        return call
      end
      local given_up, other = ask("a", 1), ask("b", 2)
      given_up:cancel()
      assert.equal("cancelled", given_up:wait(WAIT))
      server:write "+of a\r\n+of b\r\n"
      assert.equal("of b", other:join())
    end)
  end)
end)

describe("what is no reply", function()
  it("ends the connection, and every call on it", function()
    for _, text in ipairs(WRONG) do
      local got = answered({ text }, "GET", "k")
      assert.same({ false, "EPROTO" }, { got[1], got[2].code }, text)
    end
  end)

  it("may be one that nobody asked for", function()
    pair(function(conn, server)
      server:write "+OK\r\n"
      while conn:alive(WAIT) do task.sleep(0.001) end
      assert.equal("ECLOSED", failure(conn.call, conn, WAIT, "GET", "k").code)
    end)
  end)

  it("may be too large, at the head or at the end", function()
    for _, text in ipairs { "$100000000\r\n" .. ("x"):rep(MAX_REPLY), "*1000000\r\n" .. (":1\r\n"):rep(MAX_REPLY / 4) } do
      local got = answered({ text, "+\r\n" }, "GET", "k")
      assert.same({ false, "EMSGSIZE" }, { got[1], got[2].code })
      assert.matches("larger than max_reply", tostring(got[2]))
    end
  end)

  it("may be the end, in the middle of one or before it", function()
    for _, text in ipairs { "", "+", "+OK\r", "$5\r\nab", "*2\r\n:1\r\n" } do
      pair(function(conn, server)
        local calls = { task.spawn(conn.call, conn, WAIT, "GET", "k"), task.spawn(conn.call, conn, WAIT, "GET", "k") }
        server:read(1, WAIT)
        server:write(text)
        server:close()
        for _, call in ipairs(calls) do assert.equal("ECONNRESET", failure(call.join, call).code) end
      end)
    end
  end)

  it("may be silence: each call ends in its time, and the connection once a call has met nothing but silence", function()
    pair(function(conn)
      assert.equal("ETIMEDOUT", failure(conn.call, conn, 0.01, "GET", "k").code)
      assert.is_true(conn:alive(WAIT))
      while conn:alive(0.01) do task.sleep(0.001) end
      assert.equal("ECLOSED", failure(conn.call, conn, WAIT, "GET", "k").code)
    end)
  end)

  it("is never taken for one, whatever is changed in replies", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    for case = 1, tonumber(os.getenv "CASES") or 300 do
      local text = REPLIES[math.random(#REPLIES)][1] .. REPLIES[math.random(#REPLIES)][1]
      for _ = 1, math.random(3) do
        local at = math.random(#text)
        text = text:sub(1, at - 1) .. ("+-:$*%~|>_#,(!=0123456789\r\n"):sub(math.random(27)):sub(1, 1) .. text:sub(at + math.random(0, 1))
      end
      pair(function(conn, server)
        local calls = {}
        for i = 1, 2 do calls[i] = task.spawn(pcall, conn.call, conn, WAIT, "GET", "k") end
        server:read(1, WAIT)
        for i = 1, #text, 5 do
          pcall(server.write, server, text:sub(i, i + 4)) -- the client may be gone
          task.sleep(0)
        end
        server:shutdown()
        for _, call in ipairs(calls) do
          local ok, err = call:join()
          -- ECLOSED: of a call that began when the other's had ended the connection.
          local known = ok or err.op == "redis.get" or ({ ECLOSED = true, ECONNRESET = true, EPROTO = true, EMSGSIZE = true })[err.code]
          assert.is_true(known or false, ("seed %d, case %d: %q: %s"):format(seed, case, text, tostring(err)))
        end
      end)
    end
  end)
end)

describe("a push", function()
  it("is received in order, and is no reply", function()
    pair(function(conn, server)
      local caller = task.spawn(conn.call, conn, WAIT, "GET", "k")
      server:read(1, WAIT)
      server:write ">2\r\n+a\r\n:1\r\n+reply\r\n>1\r\n+b\r\n"
      assert.equal("reply", caller:join())
      assert.same({ { "a", 1 }, { "b" } }, { conn:receive(WAIT), conn:receive(WAIT) })
      local receiver = task.spawn(conn.receive, conn, WAIT)
      while receiver:status() ~= "waiting" do task.sleep(0) end
      assert.equal("EBUSY", failure(conn.receive, conn, WAIT).code)
      server:write ">1\r\n+c\r\n"
      assert.same({ "c" }, receiver:join())
      assert.equal("ETIMEDOUT", failure(conn.receive, conn, 0.01).code)
      server:close()
      assert.equal("ECONNRESET", failure(conn.receive, conn, WAIT).code)
    end)
  end)

  it("waits in the server's kernel when nobody receives", function()
    pair(function(conn, server)
      local line, sent = ">1\r\n$1000\r\n" .. ("x"):rep(1000) .. "\r\n", 0
      local writer = task.spawn(function()
        for _ = 1, 30000 do
          server:write(line, WAIT)
          sent = sent + 1
        end
      end)
      local before
      repeat -- until nothing moves any more
        before = sent
        task.sleep(0.05)
      until sent == before and sent > 0
      assert.is_true(sent < 30000)
      for _ = 1, 30000 do assert.equal(1000, #conn:receive(WAIT)[1]) end
      writer:join()
    end)
  end)
end)

describe("a command", function()
  it("has strings and numbers, and is refused otherwise, before anything is sent", function()
    assert.equal("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n", native.encode("SET", "k", 1))
    assert.equal("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\n0.1\r\n", native.encode("SET", "", 0.1))
    assert.equal("*2\r\n$1\r\nA\r\n$3\r\n\r\n\0\r\n", native.encode("A", "\r\n\0"))
    assert.equal("*2\r\n$1\r\nA\r\n$18\r\n0.3333333333333333\r\n", native.encode("A", 1 / 3))
    for _, value in ipairs { true, {}, print } do
      assert.error_matches(function() native.encode("SET", "k", value) end, "argument 2 of a command: a string or a number expected, got " .. type(value))
    end
    assert.error_matches(function() native.encode() end, "the name of a command expected")
  end)
end)
