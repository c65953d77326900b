-- SPDX-License-Identifier: MIT
local fault = require "green.error"
local green_app = require "green.app"
local response = require "green.response"
local task = require "green.task"

local function run(command, ...) assert.is_true((os.execute(command:format(...)))) end

local function write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

describe("app", function()
  local app
  before_each(function() app = green_app.new() end)

  it("answers with what a handler returns", function()
    app:get("/s", function() return "text" end):get("/t", function() return { a = 1 } end):get("/n", function() end)
    app:get("/l", function() return { 1, 2 } end)
    local function seen(path)
      local res = app:inject(path)
      return { res.status, res.body, res.headers["content-type"] }
    end
    assert.same({ 200, "text", "text/plain; charset=utf-8" }, seen "/s")
    assert.same({ 200, '{"a":1}', "application/json" }, seen "/t")
    assert.same({ 200, "[1,2]", "application/json" }, seen "/l")
    assert.same({ 204, "" }, seen "/n")
  end)

  it("routes by method and path, and lets handlers wait", function()
    for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
      app[method](app, "/x/:id", function(req)
        task.sleep(0)
        return req.method .. req.params.id
      end)
    end
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE" } do
      assert.equal(method .. "7", app:inject({ method = method, path = "/x/7" }).body)
    end
    app:any("/any", function(req) return req.method end)
    assert.equal("PURGE", app:inject({ method = "PURGE", path = "/any" }).body)
    assert.equal("OPTIONS", app:inject({ method = "OPTIONS", path = "/any" }).body)
  end)

  it("answers 404, 405, OPTIONS and HEAD by itself", function()
    app:get("/a", function() return "body" end):post("/a", function() end):get("/p/:x", function(req) return req.params.x end)
    local res = app:inject "/none"
    assert.same({ 404, { error = "not found" } }, { res.status, res:json() })
    res = app:inject { method = "PUT", path = "/a" }
    assert.same({ 405, "GET, HEAD, OPTIONS, POST" }, { res.status, res.headers.allow })
    res = app:inject { method = "OPTIONS", path = "/a" }
    assert.same({ 204, "", "GET, HEAD, OPTIONS, POST" }, { res.status, res.body, res.headers.allow })
    assert.equal(204, app:inject({ method = "OPTIONS", path = "*" }).status)
    assert.equal(404, app:inject({ method = "OPTIONS", path = "/none" }).status)
    for _, path in ipairs { "/a", "/p/1" } do
      res = app:inject { method = "HEAD", path = path }
      assert.same({ 200, "" }, { res.status, res.body })
    end
    assert.equal(400, app:inject("/p/%zz").status)
  end)

  it("refuses what cannot be a route, where it was written", function()
    local function refuses(why, ...)
      local ok, err = pcall(...)
      assert.is_false(ok)
      assert.is_truthy(err:find(why, 1, true), err)
      assert.matches("^tests/green/app_spec.lua:%d+: ", err)
    end
    local function nop() end
    app:get("/a/:x", nop)
    refuses("conflicts with GET /a/:x", function() app:get("/a/:y", nop) end)
    refuses("handler function expected", function() app:get "/b" end)
    refuses("begins with '/'", function() app:get("b", nop) end)
    refuses("unknown route option 'typo'", function() app:get("/c", nop, { typo = 1 }) end)
    refuses("middleware", function() app:use "x" end)
    assert.same({ { method = "GET", path = "/a/:x" } }, app:routes())
    assert.is_true(green_app.is(app))
    assert.is_false(green_app.is {})
    assert.equal("green.app", getmetatable(app).__name)
  end)

  describe("middleware", function()
    local function tag(name)
      return function(req, next)
        local res = response.of(next(req))
        return res:header("x-tags", (res.headers["x-tags"] or "") .. name)
      end
    end

    it("wraps in order, for every answer", function()
      app:use(tag "o"):use(tag "i")
      app:get("/", function() return "x" end):get("/p/:id", function(req) return req.params.id end)
      for path, status in pairs { ["/"] = 200, ["/p/1"] = 200, ["/none"] = 404 } do
        local res = app:inject(path)
        assert.same({ status, "io" }, { res.status, res.headers["x-tags"] })
      end
      assert.equal("io", app:inject({ method = "DELETE", path = "/" }).headers["x-tags"])
      assert.equal("io", app:inject({ method = "OPTIONS", path = "/" }).headers["x-tags"])
    end)

    it("may answer itself, and see params and errors", function()
      app:use(function(req, next)
        if req.params.id == "secret" then return response.status(403) end
        local ok, answer = pcall(next, req)
        return ok and answer or response.json({ caught = tostring(answer) }, 502)
      end)
      app:get("/p/:id", function(req) error(req.params.id, 0) end)
      assert.equal(403, app:inject("/p/secret").status)
      assert.equal("boom", app:inject("/p/boom"):json().caught)
    end)

    it("counts wherever it is added", function()
      app:get("/", function() return "x" end)
      assert.is_nil(app:inject("/").headers["x-tags"])
      app:use(tag "late")
      assert.equal("late", app:inject("/").headers["x-tags"])
    end)

    it("must pass the request on", function()
      app:use(function(_, next) return next() end):get("/", function() return "x" end)
      local res = app:inject "/"
      assert.equal(500, res.status)
      assert.matches("next%(req%)", res.error)
    end)

    it("of a group is inside the app's and only there", function()
      app:use(tag "a")
      app:group("/api", function(api)
        api:use(tag "g")
        api:get("/x", function() return "x" end):get("", function() return "top" end)
        api:group("/v1", function(v1) v1:use(tag "v"):get("/:id", function(req) return req.params.id end) end)
      end)
      app:get("/x", function() return "y" end)
      local function seen(path)
        local res = app:inject(path)
        return { res.body, res.headers["x-tags"] }
      end
      assert.same({ "x", "ga" }, seen "/api/x")
      assert.same({ "top", "ga" }, seen "/api")
      assert.same({ "7", "vga" }, seen "/api/v1/7")
      assert.same({ "y", "a" }, seen "/x")
      assert.equal("a", app:inject("/api/none").headers["x-tags"])
    end)
  end)

  it("turns errors with a status into answers and hides the others", function()
    app:get("/teapot", function() fault.status(418, "tea", "ETEAPOT", "short and %s", "stout") end)
    app:get("/plain", function() error { status = 409, message = "taken" } end)
    app:get("/bug", function() local t; return t.x end)
    app:get("/bad", function() error { status = 200, message = "not an error" } end)
    assert.same({ 418, "short and stout" }, { app:inject("/teapot").status, app:inject("/teapot"):json().error })
    assert.same({ 409, "taken" }, { app:inject("/plain").status, app:inject("/plain"):json().error })
    assert.equal(500, app:inject("/bad").status)
    local res = app:inject "/bug"
    assert.same({ 500, "internal server error" }, { res.status, res:json().error })
    assert.matches("attempt to index", res.error)
    assert.matches("app_spec.lua", res.traceback)
  end)

  it("gives requests their bodies and queries", function()
    app:post("/echo", function(req) return { json = req:json(), q = req.query.q, user = req.cookies.user } end)
    local res = app:inject { method = "POST", path = "/echo?q=1", json = { a = { 1 } }, headers = { Cookie = "user=me" } }
    assert.same({ json = { a = { 1 } }, q = "1", user = "me" }, res:json())
    assert.equal(400, app:inject({ method = "POST", path = "/echo", body = "{" }).status)
    app:post("/form", function(req) return (req:form()) end)
    assert.same({ a = "x y" }, app:inject({ method = "POST", path = "/form", form = { a = "x y" } }):json())
  end)

  it("hands C the routes that bytes can tell apart", function()
    local function handler() return "x" end
    app:get("/a", handler):post("/a", handler):any("/b", handler):put("/b", function() return "put" end)
    app:get("/p/:id", handler):get("/caf\u{e9}", handler)
    local exact = app:dispatcher().exact
    local function paths(method)
      local list = {}
      for path in pairs(exact[method]) do list[#list + 1] = path end
      table.sort(list)
      return list
    end
    assert.same({ "/a", "/b" }, paths "GET")
    assert.same({ "/a", "/b" }, paths "POST")
    assert.same({ "/b" }, paths "DELETE")
    assert.equal("put", exact.PUT["/b"] {})
    assert.is_nil(exact.OPTIONS)
    assert.equal(app:dispatcher(), app:dispatcher())
    assert.equal("x", app:inject("/caf%C3%A9").body)
  end)

  it("marks requests of routes that end with their client", function()
    app:get("/", function(req) return { req.cancel_on_disconnect or false } end, { cancel_on_disconnect = true })
    app:get("/no", function(req) return { req.cancel_on_disconnect or false } end)
    assert.same({ true }, app:inject("/"):json())
    assert.same({ false }, app:inject("/no"):json())
  end)

  describe("scripts", function()
    local dir

    before_each(function()
      dir = os.tmpname()
      os.remove(dir)
      run("mkdir -p %s/sub", dir)
      write(dir .. "/hello.lua", "local req = ...\nreturn 'hello ' .. req.method")
      write(dir .. "/sub/index.lua", "return 'index'")
    end)

    after_each(function() run("rm -rf %s", dir) end)

    it("are found by name and run from top to bottom", function()
      app:scripts("/run", dir):script("/one", dir .. "/hello.lua")
      assert.equal("hello GET", app:inject("/run/hello").body)
      assert.equal("hello PUT", app:inject({ method = "PUT", path = "/one" }).body)
      assert.equal("index", app:inject("/run/sub/").body)
      for _, path in ipairs { "/run/none", "/run/", "/run/hello.lua", "/run/../hello", "/run/%2e%2e/x", "/run/sub%2f..%2fhello", "/run//hello", "/run/sub" } do
        assert.equal(404, app:inject(path).status, path)
      end
    end)

    it("keep their globals to themselves", function()
      write(dir .. "/count.lua", "#!/usr/bin/env greenlua\nn = (n or 0) + 1\n_G.m = (m or 0) + 1\nfunction f() return n + m end\nreturn { n, m, f(), type(print) }")
      app:scripts("/", dir)
      for _ = 1, 2 do assert.same({ 1, 1, 2, "function" }, app:inject("/count"):json()) end
      assert.is_nil(rawget(_G, "n"))
      assert.is_nil(rawget(_G, "m"))
    end)

    it("run side by side", function()
      write(dir .. "/slow.lua", "local req = ...\nx = req.query.x\nrequire 'green.task'.sleep(0.01)\nreturn x")
      app:scripts("/", dir)
      local tasks, got = {}, {}
      for i = 1, 5 do tasks[i] = task.spawn(function() return app:inject("/slow?x=" .. i).body end) end
      for i, t in ipairs(tasks) do got[i] = t:join() end
      assert.same({ "1", "2", "3", "4", "5" }, got)
    end)

    it("are compiled again when the file changed", function()
      app:scripts("/", dir)
      local path = dir .. "/hello.lua"
      assert.equal("hello GET", app:inject("/hello").body)
      write(path, "return 'changed'")
      local deadline = task.now() + 10
      while app:inject("/hello").body ~= "changed" and task.now() < deadline do task.sleep(0.05) end
      assert.equal("changed", app:inject("/hello").body)
    end)

    it("say where they are wrong", function()
      write(dir .. "/broken.lua", "return 1\nend")
      write(dir .. "/inject.lua", "end return function() ")
      write(dir .. "/fails.lua", "\n\nerror 'oops'")
      app:scripts("/", dir)
      assert.matches("broken.lua:2: .*'end'", tostring(app:inject("/broken").error))
      assert.matches("inject.lua:1: ", tostring(app:inject("/inject").error))
      assert.matches("fails.lua:3: oops", app:inject("/fails").error)
      assert.error_matches(function() app:script("/b", dir .. "/broken.lua") end, "broken.lua:2")
      assert.error_matches(function() app:script("/b", dir .. "/none.lua") end, "no such script")
      assert.error_matches(function() app:scripts("/s", dir .. "/none") end, "not a directory")
    end)
  end)
end)
