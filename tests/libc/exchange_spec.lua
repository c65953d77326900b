-- SPDX-License-Identifier: MIT
-- host/libc/exchange.c: tasks shared one LuaSocket connection, each with `send` and then `receive`, as blocking code does. Nothing runs
-- between these under lua. Here the others, who waited for the object while a task received the first line of its answer, got
-- the second: 99 answers of 100 were another's. So they were where a task used up its slice between the two.
-- Needs: modules
require "helper"
local net = require "green.net"
local outcome = require "outcome"
local p = require "libc.probe"
local socket = require "socket"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting
local WAIT = 60 -- seconds, for what is bound to come
local turns = 0 -- of a task that runs whenever another makes way

-- Computes until it was preempted.
local function burn()
  local before = turns
  while turns == before do end
end

-- Computes until the condition holds.
local function burn_until(condition) while not condition() do end end

-- A connection to a server that answers each line with two: its length, and the line; "quiet" with none. `got` is
-- what has come there, got.say(text) has the server send by itself.
local function connect()
  local listener = net.listen { host = "127.0.0.1", port = 0 }
  local got = {}
  local server = task.spawn(function()
    local client <close> = listener:accept(WAIT)
    listener:close()
    function got.say(text) client:write(text) end
    for piece in function() return client:read(65536, WAIT) end do
      for line in piece:gmatch "[^\n]+" do -- each comes in one piece
        got[#got + 1] = line
        if line ~= "quiet" then
          client:write(#line + 1 .. "\n")
          task.sleep(0)
          client:write(line .. "\n")
        end
      end
    end
  end)
  local ticker = task.spawn(function()
    while true do
      turns = turns + 1
      task.sleep(0)
    end
  end)
  local client = assert(socket.connect("127.0.0.1", math.tointeger(listener:address():match ":(%d+)$")))
  return client, got, function()
    client:close()
    for _, one in ipairs { server, ticker } do
      one:cancel()
      one:wait(WAIT)
    end
  end
end

-- The answer to a line.
local function answer(client, between)
  local length, why = client:receive()
  if not length then return nil, why end
  if between then between() end
  return (assert(client:receive(tonumber(length))):gsub("\n$", ""))
end

local function ask(client, line, before, between)
  assert(client:send(line .. "\n"))
  if before then before() end
  return answer(client, between)
end

local function nothing() end

for what, burns in pairs {
  ["at once"] = { nothing, nothing }, ["after its slice was used up"] = { burn, nothing }, ["a part of it, and then computes"] = { nothing, burn },
} do
  it("an exchange on a shared connection is whole when its task receives the answer " .. what, function()
    local client, _, done = connect()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(function()
        for k = 1, 3 do
          local line = ("task %d, call %d"):format(i, k)
          assert.equal(line, ask(client, line, burns[1], burns[2]))
        end
      end)
    end
    for i = 1, 10 do tasks[i]:join(2 * WAIT) end
    done()
  end)
end

describe("an exchange", function()
  it("is not followed by the next one of the same task while others wait", function()
    local client, _, done = connect()
    local calls, enough = 0, false
    local greedy = task.spawn(function()
      repeat
        ask(client, "greedy")
        calls = calls + 1
      until enough
    end)
    waiting(greedy)
    local modest = waiting(task.spawn(function() return ask(client, "modest") end))
    local before = calls
    assert.equal("modest", modest:join(WAIT))
    assert.is_true(calls - before <= 3)
    enough = true
    greedy:join(WAIT)
    done()
  end)

  it("that a cancel cuts short where its task computes gives the answer to nobody", function()
    local client, got, done = connect()
    local sent = false
    local torn = task.spawn(function()
      client:send "torn\n"
      sent = true
      burn_until(function() return false end)
    end)
    outcome.eventually(function() return sent end)
    local next_one = waiting(task.spawn(ask, client, "next"))
    torn:cancel()
    assert.equal("cancelled", torn:wait(WAIT))
    assert.same({ nil, "closed" }, { next_one:join(WAIT) })
    assert.equal("torn", got[1])
    done()
  end)

  -- pgmoon, redis-lua and their like send in one call and receive in others, and what they do in between may wait.
  for what, wait in pairs {
    ["by a cancel"] = function() task.sleep(WAIT) end,
    ["in a call of libc that waits for something else"] = function() socket.sleep(WAIT) end,
    ["after a long computation"] = function()
      local before = os.clock()
      burn_until(function() return os.clock() - before > 0.15 end)
      task.sleep(WAIT)
    end,
  } do
    it("that is cut short where its task waits for something else gives the answer to nobody: " .. what, function()
      local client, got, done = connect()
      local torn = task.spawn(function()
        client:send "torn\n"
        wait()
      end)
      outcome.eventually(function() return got[1] and torn:status() == "waiting" end)
      torn:cancel()
      assert.equal("cancelled", torn:wait(WAIT))
      assert.same({ nil, "closed" }, { ask(client, "next") })
      done()
    end)
  end

  it("that a deadline cuts short where its task waits for something else is lost for its task, too", function()
    local client, _, done = connect()
    assert.equal("EDEADLINE", failure(task.deadline, 0.02, function()
      client:send "torn\n"
      task.sleep(WAIT)
    end).code)
    assert.same({ nil, "closed" }, { answer(client) })
    done()
  end)

  it("whose answer was read before the task waits for something else leaves the connection as it is", function()
    local client, _, done = connect()
    assert.equal("EDEADLINE", failure(task.deadline, 0.5, function()
      client:send "one\n"
      task.sleep(0)
      assert.equal("one", answer(client))
      task.sleep(WAIT)
    end).code)
    assert.equal("next", ask(client, "next"))
    done()
  end)

  it("that a task of its own reads leaves the connection as it is: who only sends owes nothing", function()
    local client, got, done = connect()
    local reader = task.spawn(function() return client:receive(), client:receive() end)
    waiting(reader)
    local writer = task.spawn(function()
      client:send "quiet\n"
      task.sleep(WAIT)
    end)
    outcome.eventually(function() return writer:status() == "waiting" end)
    got.say "hello\n"
    outcome.eventually(function() return got[1] == "quiet" end)
    waiting(reader)
    writer:cancel()
    writer:wait(WAIT)
    got.say "bye\n"
    assert.equal("hello bye", table.concat({ reader:join(WAIT) }, " "))
    done()
  end)

  it("that a deadline cuts short gives the answer to nobody", function()
    local client, _, done = connect()
    assert.equal("EDEADLINE", failure(task.deadline, 0.02, function()
      client:send "torn\n"
      burn_until(function() return false end)
    end).code)
    assert.same({ nil, "closed" }, { ask(client, "next") })
    done()
  end)

  it("that is over when its task is cancelled leaves the connection as it is", function()
    local client, _, done = connect()
    local answered = false
    local one = task.spawn(function()
      ask(client, "one")
      answered = true
      burn_until(function() return false end)
    end)
    outcome.eventually(function() return answered end)
    one:cancel()
    assert.equal("cancelled", one:wait(WAIT))
    assert.equal("next", ask(client, "next"))
    done()
  end)

  it("whose descriptor was closed and is another's ends nobody's connection", function()
    local client, _, done = connect()
    local other, _, done_other = connect()
    assert.equal("EDEADLINE", failure(task.deadline, 0.02, function()
      client:send "torn\n"
      local fd = client:getfd()
      client:close()
      p.dup2(other:getfd(), fd)
      burn_until(function() return false end)
    end).code)
    assert.equal("hello", ask(other, "hello"))
    done()
    done_other()
  end)

  it("ends with its task, and when that waits for something else", function()
    local client, _, done = connect()
    task.spawn(function() client:send "quiet\n" end):join(WAIT)
    assert.equal("one", ask(client, "one"))
    local channel = task.channel(1)
    local other = waiting(task.spawn(function()
      client:send "quiet\n"
      channel:receive()
    end))
    assert.equal("two", ask(client, "two"))
    channel:send(true)
    other:join(WAIT)
    done()
  end)

  it("ends when its task goes on computing: nobody waits for ever", function()
    for _, first in ipairs { function(client) client:send "quiet\n" end, function(client) ask(client, "first") end } do
      local client, _, done = connect()
      local begun, enough = false, false
      local hog = task.spawn(function()
        first(client)
        begun = true
        burn_until(function() return enough end)
      end)
      outcome.eventually(function() return begun end)
      assert.equal("one", ask(client, "one"))
      enough = true
      hog:join(WAIT)
      done()
    end
  end)

  it("is waited for with a deadline, after which the object is not entered", function()
    local client, got, done = connect()
    local sent, enough = false, false
    local hog = task.spawn(function()
      client:send "first\n"
      sent = true
      burn_until(function() return enough end)
      return answer(client)
    end)
    outcome.eventually(function() return sent end)
    assert.equal("EDEADLINE", failure(task.deadline, 0.001, function()
      ask(client, "late")
      task.sleep(0) -- the object is reached for by luaL_testudata, which may not raise
    end).code)
    enough = true
    assert.equal("first", hog:join(WAIT))
    assert.equal("second", ask(client, "second"))
    assert.equal("first second", table.concat(got, " "))
    done()
  end)

  it("is none of a task that only receives: others send between two messages", function()
    local client, got, done = connect()
    local lines = {}
    local reader = waiting(task.spawn(function()
      for i = 1, 4 do lines[i] = client:receive() end
    end))
    local writer = waiting(task.spawn(function() client:send "two\n" end))
    assert.equal("waiting", writer:status()) -- one object, one call at a time
    got.say "hello\n"
    writer:join(WAIT)
    got.say "bye\n"
    reader:join(WAIT)
    assert.equal("two", got[1])
    assert.equal("hello", lines[1])
    done()
  end)

  it("ends where its task waits for an object of a task that waits for its own", function()
    local client, _, done = connect()
    local a, b = p.pair()
    local y = p.object(a, "c")
    local sent = false
    local second
    local first = task.spawn(function()
      client:send "quiet\n"
      sent = true
      burn_until(function() return second and second:status() == "waiting" end)
      return y:ask "y\n"
    end)
    outcome.eventually(function() return sent end)
    second = task.spawn(function()
      return y:call(function() return ask(client, "inside") end)
    end)
    assert.equal("inside", second:join(WAIT))
    p.send(b, "answer\n")
    assert.equal("answer\n", first:join(WAIT))
    p.close(a)
    p.close(b)
    done()
  end)
end)
