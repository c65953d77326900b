-- SPDX-License-Identifier: MIT
-- Requests whose server answers before it has heard all of the body that a function gives: reading and writing go on beside each other.
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 20

local function echo(req)
  local next = req:chunks()
  return response.stream(function(out)
    out:write "" -- the head leaves before anything of the body is read
    for piece in next do out:write(piece) end
  end)
end

local function serve(handler, fn) raw.serve(handler, { max_body = 1 << 30 }, function(address) fn("http://" .. address .. "/") end) end

-- A function that waits in its second call, and marks that it has begun to, and that it has ended.
local function waiting(mark)
  local calls = 0
  return function()
    calls = calls + 1
    if calls == 1 then return "begun" end
    local _ <close> = setmetatable({}, { __close = function() mark.ended = true end })
    mark.begun = true
    task.sleep(60)
  end
end

describe("an answer that comes while the body is sent", function()
  it("is read while more is sent, when the server sends back what it gets", function()
    serve(echo, function(url)
      local piece, n, size, left = ("0123456789abcdef"):rep(4096), 0, 0, 256
      local got <close> = http.post(url, { stream = true, timeout = 60, body = function()
        left = left - 1
        return left >= 0 and piece or nil
      end })
      for bytes in got:chunks() do
        n, size = n + 1, size + #bytes
        assert.equal(("0123456789abcdef"):byte((size - #bytes) % 16 + 1), bytes:byte())
      end
      assert.equal(256 * #piece, size)
    end)
  end)

  it("may be what the next piece is made of", function()
    serve(echo, function(url)
      local pieces = task.channel(1)
      local got <close> = http.post(url, { stream = true, body = function() return pieces:receive(WAIT) end })
      local next = got:chunks()
      local stream = select(2, got:chunks())
      local heard = {}
      for i = 1, 5 do
        pieces:send(("ping %d"):format(i))
        heard[i] = next(stream)
      end
      pieces:close()
      assert.same({ "ping 1", "ping 2", "ping 3", "ping 4", "ping 5" }, heard)
      assert.is_nil(next(stream))
    end)
  end)

  it("is the answer at once, although the function still waits", function()
    for status, made in pairs { [401] = "no", [200] = "yes" } do
      local mark = {}
      serve(function()
        raw.eventually(function() return mark.begun end, "the function waits")
        return response.text(made, status)
      end, function(url)
        local got = http.post(url, { body = waiting(mark) })
        assert.same({ status, made, true }, { got.status, got.body, mark.ended })
      end)
    end
  end)

  it("ends with the error of the function", function()
    serve(echo, function(url)
      local calls = 0
      local e = failure(function()
        local got <close> = http.post(url, { stream = true, body = function()
          calls = calls + 1
          if calls == 2 then error { code = "ELSEWHERE" } end
          return "begun"
        end })
        for _ in got:chunks() do end
      end)
      assert.equal("ELSEWHERE", e.code)
    end)
  end)

  it("ends the function when it is closed, cancelled or out of time", function()
    serve(echo, function(url)
      local closed = {}
      local got = http.post(url, { stream = true, body = waiting(closed) })
      raw.eventually(function() return closed.begun end, "the function waits")
      got:close()
      assert.is_true(closed.ended)
    end)
    serve(function() task.sleep(60) end, function(url)
      local cancelled = {}
      local asking = task.spawn(http.post, url, { body = waiting(cancelled) })
      raw.eventually(function() return cancelled.begun end, "the function waits")
      asking:cancel()
      assert.equal("ECANCELED", failure(asking.join, asking).code)
      assert.is_true(cancelled.ended)
      local late = {}
      assert.equal("EDEADLINE", failure(task.deadline, 0.2, http.post, url, { body = waiting(late) }).code)
      assert.equal("ETIMEDOUT", failure(http.post, url, { timeout = 0.2, body = waiting(late) }).code)
    end)
  end)

  it("ends the function when nobody has it any more", function()
    serve(echo, function(url)
      local mark = {}
      local got = http.post(url, { stream = true, body = waiting(mark) })
      raw.eventually(function() return mark.begun and got end, "the function waits") -- until then somebody has it
      got = nil
      raw.eventually(function()
        collectgarbage()
        return mark.ended
      end, "the writer's end")
    end)
  end)

  it("may be closed by the function itself", function()
    serve(echo, function(url)
      local got, calls = nil, 0
      local answered = task.channel(1)
      got = http.post(url, { stream = true, body = function()
        calls = calls + 1
        if calls == 1 then return "begun" end
        answered:receive(WAIT)
        got:close()
        return "more"
      end })
      answered:send(true)
      assert.equal("ECONNABORTED", failure(function() for _ in got:chunks() do end end).code)
    end)
  end)
end)

describe("the time between two pieces", function()
  it("does not count while the function thinks", function()
    local function slow()
      local calls = 0
      return function()
        calls = calls + 1
        if calls == 2 then task.sleep(3) end
        return calls <= 2 and "0123456789" or nil
      end
    end
    serve(echo, function(url)
      local collected = task.spawn(http.post, url, { timeouts = { idle = 2 }, body = slow() })
      local got <close> = http.post(url, { stream = true, timeouts = { idle = 2 }, body = slow() })
      local size = 0
      for bytes in got:chunks() do size = size + #bytes end
      assert.same({ 20, 20 }, { size, #collected:join().body })
    end)
  end)

  it("counts while the server takes nothing", function()
    local go = task.channel(1)
    serve(function() go:receive(2 * WAIT) end, function(url)
      local e = failure(http.post, url, { timeout = WAIT, timeouts = { idle = 0.3 }, body = function() return ("x"):rep(65536) end })
      assert.same({ "ETIMEDOUT", "send" }, { e.code, e.phase })
      go:send(true)
    end)
  end)

  it("counts while the server does not answer a body that has arrived", function()
    serve(function(req)
      req:body()
      task.sleep(60)
    end, function(url)
      local e = failure(http.post, url, { timeout = WAIT, timeouts = { first_byte = 0.3 }, body = function() return nil end })
      assert.same({ "ETIMEDOUT", "head" }, { e.code, e.phase })
    end)
  end)
end)
