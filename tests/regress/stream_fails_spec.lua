-- SPDX-License-Identifier: MIT
-- A streamed answer that failed before its first byte had left was an empty or cut 200: its head was sent before its function ran.
-- It is held back until the first piece now, so that what fails earlier is answered with the error. A broken stream for an HTTP/1.0
-- client, which knows the end of the body by that of the connection, ended like a whole one. And control characters other than line
-- breaks went out in response headers.
local raw = require "http.raw"
local response = require "green.response"

local SERVER = [[
  local response = require "green.response"
  local task = require "green.task"
  local fault = require "green.error"
  local streams = {
    ["/at-once"] = function() error "oops" end,
    ["/after-a-wait"] = function() task.sleep(0.02) error "oops" end,
    ["/written-but-not-left"] = function(out) out:write "abc" error "oops" end,
    ["/told"] = function() task.sleep(0.02) fault.status(404, "x", "ENOENT", "nowhere") end,
    ["/short"] = function(out) out:write "abc" end,
    ["/left"] = function(out) out:write "abc" task.sleep(0.02) error "oops" end,
    ["/told-too-late"] = function(out) out:write "abc" task.sleep(0.02) fault.status(404, "x", "ENOENT", "nowhere") end,
    ["/fine"] = function(out) out:write "abc" task.sleep(0.02) out:write "def" end,
    ["/nothing"] = function() end,
  }
  local function handler(req)
    local kind = req.query_string == "events" and response.events or response.stream
    local res = kind(streams[req.path])
    if req.path == "/short" then res:header("content-length", 5) end
    return res
  end
  local app = require "green.app".new()
  app:use(function(req, next) return response.of(next(req)):header("x-middleware", "yes") end)
  app:any("/*path", handler)
]]

local function answers(minor, paths)
  local out, err = raw.script(SERVER .. ([[
    local server = app:listen "127.0.0.1:0"
    for path in ("%s"):gmatch "%%S+" do
      local client <close> = raw.connect(server:address())
      client:send(("GET %%s HTTP/1.%d\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"):format(path))
      local answer = client:answer()
      local after = "closed"
      if not client.was_reset and answer.headers.connection ~= "close" and not answer.truncated then
        client:send "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n"
        after = client:answer().body
      end
      print(path, answer.status, (answer.body:gsub("\n", "")), answer.truncated and "cut" or client.was_reset and "reset" or after)
    end
    server:abort()
  ]]):format(paths, minor))
  return out, select(2, err:gsub("[^\n]*error: GET ", "")), err
end

local ERROR = '{"error":"internal server error"}'

describe("a stream that fails before its first byte has left", function()
  it("is answered with the error, and the connection goes on", function()
    local out, records = answers(1, "/at-once /after-a-wait /written-but-not-left /told /short /nothing")
    assert.equal(("/at-once\t500\t%s\tabcdef\n/after-a-wait\t500\t%s\tabcdef\n/written-but-not-left\t500\t%s\tabcdef\n"):format(ERROR, ERROR, ERROR)
      .. '/told\t404\t{"error":"nowhere"}\tabcdef\n' .. ("/short\t500\t%s\tabcdef\n"):format(ERROR) .. "/nothing\t200\t\tabcdef\n", out)
    assert.equal(4, records)
  end)

  it("is answered with the error to HTTP/1.0, too", function()
    local out = answers(0, "/at-once /after-a-wait")
    assert.equal(("/at-once\t500\t%s\tclosed\n/after-a-wait\t500\t%s\tclosed\n"):format(ERROR, ERROR), out)
  end)

  it("is answered with the error if it is one of events that fails at once", function()
    local out = answers(1, "/at-once?events")
    assert.equal(("/at-once?events\t500\t%s\tabcdef\n"):format(ERROR), out)
  end)
end)

describe("a stream that fails later", function()
  it("is cut, and said, whatever status the error carries", function()
    local out, records = answers(1, "/left /told-too-late /fine")
    assert.equal("/left\t200\tabc\tcut\n/told-too-late\t200\tabc\tcut\n/fine\t200\tabcdef\tabcdef\n", out)
    assert.equal(2, records)
  end)

  it("is reset for HTTP/1.0, where the end of the connection is that of the body", function()
    local out = answers(0, "/left /fine")
    assert.equal("/left\t200\tabc\treset\n/fine\t200\tabcdef\tclosed\n", out)
  end)
end)

describe("the head of a stream", function()
  it("of events leaves before the first one; of bytes, with the first write, be it empty", function()
    local go
    local function handler(req)
      local function wait() raw.eventually(function() return go end, "told to go on") end
      if req.path == "/events" then return response.events(wait) end
      return response.stream(function(out)
        out:write ""
        wait()
      end)
    end
    raw.serve(handler, {}, function(address)
      for _, path in ipairs { "/events", "/bytes" } do
        go = false
        local client <close> = raw.connect(address)
        client:send(raw.get(path))
        assert.equal("HTTP/1.1 200 OK", client:line())
        go = true
        client:shutdown()
      end
    end)
  end)

  it("has no control characters", function()
    for _, value in ipairs { "a\1b", "a\27[2Jb", "a\127b", "\8", "a\nb", "a\0b" } do
      assert.error_matches(function() response.text "x":header("x-a", value) end, "other control characters")
    end
    local out, err = raw.script [[
      local response = require "green.response"
      for _, value in ipairs { "a\1b", "a\27[2Jb", "a\127b", "\8" } do
        local res = response.text "x"
        res.headers["x-a"] = value
        raw.serve(function() return res end, {}, function(address) print(raw.ask(address, raw.GET).status) end)
      end
    ]]
    assert.equal("500\n500\n500\n500\n", out)
    assert.matches("response header 'x%-a' contains a line break or another control character", err)
    raw.serve(function() return response.text "x":header("x-a", "a\tb\xe4") end, {}, function(address)
      assert.equal("a\tb\xe4", raw.ask(address, raw.GET).headers["x-a"])
    end)
  end)
end)
