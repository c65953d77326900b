-- SPDX-License-Identifier: MIT
-- Silence where a mistake was made: a second result of a handler was dropped, a file of the app's own that is not there was
-- an ordinary 404, an error that is a table was logged as its address, and one in a finalizer not at all.
local http = require "green.http"
local serve = require "process"
local fs = require "green.fs"

describe("a server says in its log", function()
  local folder, app

  before_each(function()
    folder = fs.temp_dir()
    fs.write(folder.path .. "/app.lua", [[
      local app = require "green.app".new()
      local response = require "green.response"
      app:get("/two", function() return "x", 404 end)
      app:get("/replaced", function() return (("x"):gsub("x", "y")) end)
      app:get("/file", function() return response.file "/nowhere/report.pdf" end)
      app:get("/below", function(req) return response.file(req.query.name, { root = "/nowhere" }) end)
      app:get("/status", function() error { status = 600 } end)
      app:get("/table", function() error { foo = 1, [2] = "two\n", deep = {} } end)
      app:get("/nil", function() error(nil) end)
      app:get("/function", function() error(print) end)
      app:get("/finalizer", function()
        setmetatable({}, { __gc = function() error "lost?" end })
        collectgarbage()
        return "ok"
      end)
      app:group("/inside", function(group)
        group:use(function(req, next) return next(req) end)
        group:get("/two", function() return "x", 404 end)
      end)
      return app
    ]])
    app = serve(folder.path .. "/app.lua")
  end)

  after_each(function()
    app:__close()
    folder:close()
  end)

  local function get(path) return http.get(app.url .. path, { timeout = 20 }) end

  local function said(pattern)
    for line in app.line, app do
      if line:find(pattern) then return line end
    end
    error("it did not say " .. pattern)
  end

  it("that a handler returns one answer", function()
    assert.equal(500, get("/two").status)
    said "error: .*GET /two %[%x+%]: a handler returned a second value, 404: .*response.text"
    assert.equal(500, get("/inside/two").status)
    said "error: .*GET /inside/two %[%x+%]: a handler returned a second value"
    assert.equal("y", get("/replaced").body)
  end)

  it("that a file of its own is missing, and not that one of a client's is", function()
    assert.equal(404, get("/below?name=x").status)
    assert.equal(404, get("/file").status)
    assert.matches("report.pdf", (said "error: response.file: "))
  end)

  it("what an error is made of", function()
    for path, text in pairs {
      status = "{ status = 600 }", ["function"] = "%(error object is a function value%)", ["nil"] = "nil",
    } do
      assert.equal(500, get("/" .. path).status)
      said("error: .*GET /" .. path .. " %[%x+%]: " .. text .. "$")
    end
    assert.equal(500, get("/table").status)
    local line = said "error: .*GET /table %[%x+%]: { .* }$"
    for _, part in ipairs { "foo = 1", '[2] = "two\\n"', "deep = a table" } do assert.is_truthy(line:find(part, 1, true), line) end
  end)

  it("what went wrong in a finalizer", function()
    assert.equal("ok", get("/finalizer").body)
    said "error: a finalizer %(__gc%): .*app.lua:12: lost%?$"
  end)
end)

describe("inject", function()
  it("says that a handler returns one answer, too", function()
    local app = require "green.app".new()
    app:get("/two", function() return "x", 404 end)
    local answer = app:inject "/two"
    assert.equal(500, answer.status)
    assert.matches("a handler returned a second value", tostring(answer.error))
  end)
end)
