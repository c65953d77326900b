-- SPDX-License-Identifier: MIT
-- Request bodies with a Content-Encoding: undone, bounded, refused; on the wire and by inject.
local encoders = require "coding.encoders"
local http = require "green.http"
local json = require "green.json"
local new_app = require("green.app").new
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local T = 60
local TEXT = ("a line of text\n"):rep(3000)
local FORM = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\n"
  .. TEXT .. "\r\n--x--\r\n"

local app = new_app()
app:post("/body", function(req) return req:body() .. (req:body() == req:body() and "" or "differs") end)
app:post("/small", function(req) return req:body(1000) end)
app:post("/json", function(req) return req:json() end)
app:post("/form", function(req)
  local fields = req:form()
  return fields.f and fields.a .. fields.f.body or fields.a
end)
app:post("/parts", function(req)
  local out = {}
  for part in req:parts() do out[#out + 1] = part.name .. "=" .. part:body() end
  return table.concat(out, "&")
end)
local function joined(next, ...)
  local out = {}
  for piece in next, ... do out[#out + 1] = piece end
  return table.concat(out)
end
app:post("/chunks", function(req) return joined(req:chunks()) end)
app:post("/raw", function(req) return joined(req:chunks { decode = false }) end)
app:post("/first", function(req)
  for piece in req:chunks() do return piece:sub(1, 6) end
end)
app:post("/wrong", function(req) return joined(req:chunks { decod = true }) end)

-- test(ask) for each way to the app: ask(path, encoding, body, content_type) -> answer
local function each_way(test)
  test(function(path, encoding, body, kind)
    return app:inject { method = "POST", path = path, body = { body:sub(1, 100), body:sub(101) }, headers = { ["content-encoding"] = encoding, ["content-type"] = kind } }
  end)
  local server = app:listen "127.0.0.1:0"
  test(function(path, encoding, body, kind)
    return http.post("http://" .. server:address() .. path, { body = body, headers = { ["content-encoding"] = encoding, ["content-type"] = kind } })
  end)
  server:finish(T)
end

describe("a coded request body", function()
  it("is what it was before, however a handler reads it", function()
    each_way(function(ask)
      for _, coding in pairs(encoders.all) do
        local name, encode = coding[1], coding[2]
        assert.equal(TEXT, ask("/body", name, encode(TEXT)).body)
        assert.equal(TEXT, ask("/chunks", name, encode(TEXT)).body)
        assert.equal("a line", ask("/first", name, encode(TEXT)).body)
        assert.same({ 1, 2 }, json.decode(ask("/json", name, encode "[1,2]").body))
        assert.equal("b c", ask("/form", name, encode "a=b+c", "application/x-www-form-urlencoded").body)
        assert.equal("1" .. TEXT, ask("/form", name, encode(FORM), "multipart/form-data; boundary=x").body)
        assert.equal("a=1&f=" .. TEXT, ask("/parts", name, encode(FORM), "multipart/form-data; boundary=x").body)
        assert.equal(encode "raw", ask("/raw", name, encode "raw").body)
        assert.equal("", ask("/body", name, "").body)
      end
      assert.equal("twice", ask("/body", "gzip, zstd", encoders.zstd(encoders.gzip "twice")).body)
      assert.equal("plain", ask("/body", "identity", "plain").body)
      assert.equal("plain", ask("/chunks", "identity", "plain").body)
    end)
  end)

  it("is refused when it is damaged, cut off, or in another coding", function()
    each_way(function(ask)
      local coded = encoders.gzip(TEXT)
      for _, path in ipairs { "/body", "/chunks", "/json", "/parts" } do
        local kind = path == "/parts" and "multipart/form-data; boundary=x" or nil
        assert.equal(400, ask(path, "gzip", coded:sub(1, -5), kind).status, path)
        assert.equal(400, ask(path, "gzip", "no gzip at all", kind).status, path)
        assert.equal(400, ask(path, "gzip", coded .. "more", kind).status, path)
        assert.equal(415, ask(path, "aes128gcm", TEXT, kind).status, path)
        assert.equal(415, ask(path, "lzw, gzip", coded, kind).status, path)
        assert.equal(400, ask(path, "gzip, gzip, gzip, gzip, gzip, gzip", coded, kind).status, path)
      end
      assert.matches("its gzip body is cut off", ask("/body", "gzip", coded:sub(1, -5)).body)
      assert.matches("not served: aes128gcm", ask("/body", "aes128gcm", TEXT).body)
    end)
  end)

  it("is bounded as it was sent, and as what it becomes", function()
    local bomb = encoders.gzip(("\0"):rep(40 << 20))
    each_way(function(ask)
      assert.equal(413, ask("/body", "gzip", bomb).status)
      assert.equal(413, ask("/json", "gzip", bomb).status)
      assert.equal(413, ask("/small", "gzip", encoders.gzip(("x"):rep(1001))).status)
      assert.equal(200, ask("/small", "gzip", encoders.gzip(("x"):rep(1000))).status)
      local empty = encoders.gzip ""
      assert.equal(413, ask("/small", "gzip", empty:rep(1000 // #empty + 1)).status) -- becomes nothing, but never ends
      assert.equal(413, ask("/form", "gzip", encoders.gzip((FORM:gsub(TEXT, TEXT:rep(50)))), "multipart/form-data; boundary=x").status)
      assert.equal("\0\0\0\0\0\0", ask("/first", "gzip", bomb).body) -- and the loop that is left leaves the rest
    end)
  end)

  it("is passed on as it is by a gateway", function()
    local coded = encoders.gzip "through"
    raw.serve(function(req) return response.json { req.headers["content-encoding"], req:body() } end, nil, function(inside)
      raw.serve(function() return response.proxy("http://" .. inside) end, nil, function(front)
        local got = http.post("http://" .. front .. "/", { body = coded, headers = { ["content-encoding"] = "gzip" } })
        assert.same({ "gzip", "through" }, got:json())
      end)
    end)
  end)

  it("is read by one task, and ends with its client", function()
    local said, begun = task.channel(2), task.channel(2)
    raw.serve(function(req)
      local reading = task.spawn(function() return pcall(req.body, req) end)
      task.sleep(0)
      said:send(outcome.failure(req.body, req).code)
      begun:send(true)
      local _, err = reading:join()
      said:send(err.code)
    end, nil, function(address)
      local client = raw.connect(address)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n", encoders.gzip("x"):sub(1, 5))
      assert.equal("EBUSY", said:receive(T))
      begun:receive(T)
      client:close()
      assert.equal("ECONNRESET", said:receive(T))
    end)
  end)

  it("knows no other options", function()
    local answer = app:inject { method = "POST", path = "/wrong", body = "x" }
    assert.equal(500, answer.status)
    assert.matches("unknown option 'decod'; did you mean 'decode'", tostring(answer.error))
    raw.serve(function(req) return tostring(outcome.failure(function() return req:chunks { decod = true } end)) end, nil, function(address)
      assert.matches("coded_body_spec.lua:%d+: .*unknown option 'decod'", raw.ask(address, raw.post("/", "x")).body)
    end)
  end)
end)
