-- SPDX-License-Identifier: MIT
-- A person who followed a dead link read {"error":"not found"}, and no app could say it better: 404, 405 and what a handler
-- raised were answered in three places, with JSON for everybody. Now browsers get a small page, everybody else JSON, and
-- app:on_error answers all of them, the same way in app:inject and on a real socket.
local app_new = require("green.app").new
local http = require "green.http"
local response = require "green.response"
local task = require "green.task"

local BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

-- The same request by both ways: status, content type and body, which must be equal.
local function ask(app, server, path, headers, method)
  local real = http.request(method or "GET", "http://" .. server:address() .. path, { headers = headers })
  local tried = app:inject { method = method or "GET", path = path, headers = headers }
  assert.same({ tried.status, tried.headers["content-type"], tried.body }, { real.status, real.headers["content-type"], real.body })
  return real
end

local function make()
  local app = app_new()
  app:get("/told", function() require("green.error").status(410, "app", "EGONE", "<gone> & \"forgotten\" \xff") end)
  app:get("/boom", function() error "secret" end)
  app:get("/nil", function() error(nil) end)
  return app
end

local function served(app)
  return setmetatable({ server = app:listen "127.0.0.1:0" }, { __close = function(self) self.server:abort() end })
end

describe("a failed request", function()
  local app = make()

  it("is a page for browsers and JSON for everybody else", function()
    local own <close> = served(app)
    for path, expected in pairs { ["/nowhere"] = { 404, "Not Found", "not found" }, ["/told"] = { 410, "Gone", "&lt;gone&gt; &amp; &quot;forgotten&quot; ?" } } do
      local page = ask(app, own.server, path, { accept = BROWSER })
      assert.equal(expected[1], page.status)
      assert.equal("text/html; charset=utf-8", page.headers["content-type"])
      assert.is_truthy(page.body:find(("<title>%d %s</title>"):format(expected[1], expected[2]), 1, true))
      assert.is_truthy(page.body:find("<p>" .. expected[3] .. "</p>", 1, true))
    end
    for _, accept in ipairs { "*/*", "application/json", "application/json, text/html", "text/html;q=0, */*", "text/html;q=0.5, application/json" } do
      local answer = ask(app, own.server, "/nowhere", { accept = accept })
      assert.same({ 404, "application/json", "not found" }, { answer.status, answer.headers["content-type"], answer:json().error })
    end
    assert.equal('<gone> & "forgotten" ?', ask(app, own.server, "/told"):json().error)
    local refused = ask(app, own.server, "/told", { accept = BROWSER }, "POST")
    assert.same({ 405, "GET, HEAD, OPTIONS" }, { refused.status, refused.headers.allow })
  end)
end)

describe("app:on_error", function()
  it("answers what handlers raise, 404 and 405, with the failure's status", function()
    local app = make()
    local seen = {}
    app:on_error(function(req, status, err)
      seen[#seen + 1] = { req.path, status, type(err) == "table" and err.message or tostring(err) }
      task.sleep(0) -- it may wait
      return response.html("<b>" .. status .. "</b>")
    end)
    local own <close> = served(app)
    for path, status in pairs { ["/nowhere"] = 404, ["/told"] = 410, ["/boom"] = 500, ["/nil"] = 500 } do
      local answer = ask(app, own.server, path)
      assert.same({ status, "<b>" .. status .. "</b>" }, { answer.status, answer.body })
    end
    local refused = ask(app, own.server, "/told", nil, "PUT")
    assert.same({ 405, "GET, HEAD, OPTIONS", "<b>405</b>" }, { refused.status, refused.headers.allow, refused.body })
    for _, entry in ipairs(seen) do
      if entry[1] == "/boom" then assert.matches("secret$", entry[3]) end
      if entry[1] == "/nowhere" then assert.equal("not found", entry[3]) end
    end
  end)

  it("may have a status of its own, answer with data or a stream, or leave it to us", function()
    local app = make()
    local answers = {
      ["/a"] = function() return { sorry = true } end,
      ["/b"] = function() return "text" end,
      ["/c"] = function() return response.json({ busy = true }, 503) end,
      ["/d"] = function() return response.stream(function(out) out:write "in " out:write "pieces" end) end,
      ["/e"] = function() end,
    }
    app:on_error(function(req) return answers[req.path]() end)
    local own <close> = served(app)
    local function look(path)
      local answer = ask(app, own.server, path)
      return { answer.status, answer.body }
    end
    assert.same({ 404, '{"sorry":true}' }, look "/a")
    assert.same({ 404, "text" }, look "/b")
    assert.same({ 503, '{"busy":true}' }, look "/c")
    assert.same({ 404, "in pieces" }, look "/d")
    assert.same({ 404, '{"error":"not found"}\n' }, look "/e")
  end)

  it("that fails itself is a plain 500, and the connection goes on", function()
    local app = make()
    app:on_error(function() error "again" end)
    app:get("/fine", function() return "fine" end)
    local own <close> = served(app)
    for _, path in ipairs { "/boom", "/nowhere" } do
      local answer = ask(app, own.server, path)
      assert.same({ 500, '{"error":"internal server error"}\n' }, { answer.status, answer.body })
    end
    assert.equal("fine", ask(app, own.server, "/fine").body)
  end)

  it("has time of its own after a request that had none left", function()
    local app = app_new { request_timeout = 0.3 }
    app:get("/slow", function() task.sleep(60) end)
    app:get("/slower", function() task.sleep(60) end)
    app:on_error(function(req, status)
      if req.path == "/slower" then task.sleep(60) end
      task.sleep(0.01)
      return "late: " .. status
    end)
    local own <close> = served(app)
    local answer = http.get("http://" .. own.server:address() .. "/slow")
    assert.same({ 503, "late: 503" }, { answer.status, answer.body })
    assert.equal(500, http.get("http://" .. own.server:address() .. "/slower").status)
  end)

  it("is not asked when the client has left, and holds nothing then", function()
    local net = require "green.net"
    local app = app_new { cancel_on_disconnect = true }
    local began, asked = task.semaphore(1), 0
    began:acquire()
    app:get("/wait", function()
      began:release()
      task.sleep(60)
    end)
    app:on_error(function() asked = asked + 1 end)
    local own <close> = served(app)
    do
      local socket <close> = net.connect(own.server:address())
      socket:write "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
      began:acquire(30)
    end
    task.deadline(30, function()
      while own.server:connections() > 0 do task.sleep(0.001) end
    end)
    assert.equal(0, asked)
  end)

  it("takes a function", function()
    assert.has_error(function() app_new():on_error "page" end)
  end)
end)
