-- SPDX-License-Identifier: MIT
-- Early hints (103, RFC 8297): before the answer, over HTTP/1.1 and HTTP/2, and only where they can be sent.
local h2 = require "http.h2"
local http = require "green.http"
local raw = require "http.raw"
local new_app = require "green.app".new
local response = require "green.response"
local task = require "green.task"

local STYLE, SCRIPT = "</style.css>; rel=preload; as=style", "</app.js>; rel=preload; as=script"
local WAIT = 60 -- seconds for what takes none

local function page(req)
  local sent = req:early_hints { link = { STYLE, SCRIPT }, ["content-length"] = 5 }
  return response.text(tostring(sent)):header("link", STYLE)
end

describe("early hints", function()
  it("come before the answer, on a connection that goes on", function()
    raw.serve(page, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET, raw.GET)
      for _ = 1, 2 do
        local hints = client:answer()
        assert.same({ 103, "Early Hints", { link = STYLE .. ", " .. SCRIPT } }, { hints.status, hints.reason, hints.headers })
        local answer = client:answer()
        assert.same({ 200, "true", STYLE }, { answer.status, answer.body, answer.headers.link })
      end
    end)
  end)

  it("leave at once, while the handler waits for something else", function()
    local gate = task.channel()
    local function handler(req)
      local first = req:early_hints { link = STYLE }
      gate:receive(WAIT)
      return tostring(first) .. tostring(req:early_hints {})
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      assert.equal(103, client:answer().status)
      gate:send(true)
      assert.same({ status = 103, reason = "Early Hints", headers = {}, body = "" }, client:answer())
      assert.equal("truetrue", client:answer().body)
    end)
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.get(1, "/"))
      client:watch(function() return client.answers[1] and client.answers[1].interim[1] end)
      assert.same({ 103 }, client.answers[1].interim)
      gate:send(true)
      local answer = client:answer(1)
      assert.same({ { 103, 103 }, "truetrue", 200 }, { answer.interim, answer.body, answer.status })
    end)
  end)

  it("are skipped by clients that wait for the answer", function()
    raw.serve(page, {}, function(address)
      local res = http.get("http://" .. address .. "/")
      assert.same({ 200, "true" }, { res.status, res.body })
    end)
  end)

  it("do not come between 100 Continue and the body", function()
    raw.serve(function(req)
      req:early_hints { link = STYLE }
      return req:body()
    end, {}, function(address)
      local client <close> = raw.connect(address)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
      assert.equal(103, client:answer().status)
      assert.equal(100, client:answer().status)
      client:send "ab"
      assert.equal("ab", client:answer().body)
    end)
  end)

  it("are not sent to HTTP/1.0", function()
    raw.serve(page, {}, function(address)
      local answer = raw.ask(address, "GET / HTTP/1.0\r\n\r\n")
      assert.same({ 200, "false" }, { answer.status, answer.body })
    end)
  end)

  it("are not sent once the answer has begun, or is over", function()
    local kept, late
    local function handler(req)
      kept = req
      return response.stream(function(out)
        out:write "x"
        late = req:early_hints { link = STYLE }
      end)
    end
    raw.serve(handler, {}, function(address)
      local answer = raw.ask(address, raw.GET)
      assert.same({ 200, "x" }, { answer.status, answer.body })
      assert.is_false(late)
      assert.is_false(kept:early_hints { link = STYLE })
    end)
    h2.serve(handler, {}, function(address)
      local answer = h2.ask(address, h2.get(1, "/"))
      assert.same({ {}, "x" }, { answer.interim, answer.body })
      assert.is_false(late)
      assert.is_false(kept:early_hints { link = STYLE })
    end)
  end)

  it("are not sent to a client that is gone", function()
    local began, gate, sent = task.channel(), task.channel(), task.channel(1)
    local function handler(req)
      req.cancel_on_disconnect = false
      began:send(true)
      gate:receive(WAIT)
      while req:early_hints {} do task.sleep(0.001) end -- until it is noticed, or eight were sent
      sent:send(req:early_hints {})
    end
    raw.serve(handler, {}, function(address)
      do
        local client <close> = raw.connect(address)
        client:send(raw.GET)
        began:receive(WAIT)
      end
      gate:send(true)
      assert.is_false(sent:receive(WAIT))
    end)
  end)

  it("are eight for a request at most, since nothing waits for the client to read them", function()
    local function handler(req)
      local n = 0
      while n < 100 and req:early_hints { link = STYLE } do n = n + 1 end
      return tostring(n)
    end
    raw.serve(handler, {}, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      for _ = 1, 8 do assert.equal(103, client:answer().status) end
      assert.equal("8", client:answer().body)
    end)
    h2.serve(handler, {}, function(address) assert.equal(8, #h2.ask(address, h2.get(1, "/")).interim) end)
    local app = new_app()
    app:get("/", handler)
    local answer = app:inject "/"
    assert.same({ "8", 8 }, { answer.body, #answer.early_hints })
  end)

  local WRONG = {
    { { link = "a\r\nb: c" }, "early hint 'link' contains a line break" }, { { [1] = "x" }, "the name of a" }, { { link = {} }, nil },
    { { link = true }, "must be a string, not a boolean" }, { { ["a b"] = "x" }, "" }, { { ["transfer-encoding"] = "chunked" }, "not a handler's to set" },
    { "x", "table expected" }, { nil, "table expected" },
  }

  for i, row in ipairs(WRONG) do
    it("are refused as the headers of a response are, also by app:inject, row " .. i, function()
      local function handler(req)
        local ok, err = pcall(req.early_hints, req, row[1])
        return ok and "sent" or tostring(err)
      end
      raw.serve(handler, {}, function(address)
        local client <close> = raw.connect(address)
        client:send(raw.GET)
        local answer = client:answer()
        if not row[2] then answer = client:answer() end
        local app = new_app()
        app:get("/", handler)
        local injected = app:inject "/"
        if row[2] then
          assert.not_equal("sent", answer.body)
          assert.not_equal("sent", injected.body)
          assert.equal(0, #injected.early_hints)
          if row[2] ~= "table expected" then assert.matches(row[2], answer.body, 1, true) end
        else
          assert.same({ "sent", "sent" }, { answer.body, injected.body })
        end
      end)
    end)
  end

  it("are seen by app:inject", function()
    local app = new_app()
    app:get("/", page)
    local answer = app:inject "/"
    assert.same({ { link = { STYLE, SCRIPT } } }, { { link = answer.early_hints[1].link } })
    assert.equal("true", answer.body)
    assert.same({ 400, {} }, { app:inject("/%").status, app:inject("/%").early_hints })
  end)
end)
