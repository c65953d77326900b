-- SPDX-License-Identifier: MIT
-- A client that reset its connection while the JSON of its answer was encoded crashed the process: gl_response_send had looked
-- at the connection, then called Lua, which was preempted; the loop saw the reset, and the head was written through NULL.
-- Whatever Lua an answer needs runs first now; then the connection is looked at, and the headers are checked and copied
-- at once. Here the client leaves at each point where reading an answer runs Lua.
local debug = require "green.debug"
local raw = require "http.raw"
local response = require "green.response"

local Response = require "green.http.native".response

local methods = Response.__index

-- Runs `step`, once, when the server looks for that key of a response.
local function at_key(key, step)
  finally(function() Response.__index = methods end)
  Response.__index = function(_, k)
    if k == key then
      Response.__index = methods
      step()
    end
    return methods[k]
  end
end

-- A client asks twice and leaves most of the first answer unread, so that its close is a reset. `during(leave)` runs
-- its second request.
local function visit(during)
  local before, client, left = debug.census(), nil, false
  local function leave()
    client:more() -- only a part: what is left unread makes the close a reset
    client:close()
    raw.eventually(function() return debug.census().handles == before.handles + 1 end, "the server sees the reset") -- + 1: it listens
    left = true
  end
  local function handler(req)
    if req.path == "/first" then return ("x"):rep(200000) end
    return during(leave)
  end
  raw.serve(handler, {}, function(address)
    client = raw.connect(address)
    client:send(raw.get "/first", raw.get "/second")
    raw.eventually(function() return left and debug.census().tasks == before.tasks end, "the request ends")
  end)
end

describe("a client that leaves while its answer is made", function()
  local function stream() return response.stream(function(out) out:write "x" end) end
  local function text() return response.status(200, { ["x-a"] = "b" }) end

  for key, make in pairs { settle = text, stream = text, json = text, body = text } do
    it("is not answered, when Lua looks for its " .. key, function()
      visit(function(leave)
        local answer = make()
        answer[key] = nil -- looked for in its metatable then
        at_key(key, leave)
        return answer
      end)
    end)
  end

  it("is not written a stream to", function()
    local raised
    visit(function(leave)
      local answer = stream()
      answer.settle = function(res)
        leave()
        res.settle = nil
        return res
      end
      answer.stream = function(out) raised = not pcall(out.write, out, "x") end
      return answer
    end)
    assert.is_nil(raised) -- nobody is there: it does not even begin
  end)
end)

describe("the headers of a response", function()
  it("are sent as they were checked, whatever changes them", function()
    local headers = { ["x-a"] = "b" }
    raw.serve(function()
      local answer = response.text "x"
      answer.headers, answer.body = headers, nil
      at_key("body", function() headers["x-a"] = "b\r\nset-cookie: evil=1" end)
      return answer
    end, {}, function(address)
      local answer = raw.ask(address, raw.GET)
      assert.equal(500, answer.status)
      assert.is_nil(answer.headers["set-cookie"])
    end)
  end)

  it("have a limit, which is named", function()
    raw.serve(function()
      local list = {}
      for i = 1, 70 do list[i] = ("x"):rep(1000) end
      return response.status(200, { ["x-list"] = list })
    end, {}, function(address)
      assert.equal(500, raw.ask(address, raw.GET).status)
    end)
  end)
end)
