-- SPDX-License-Identifier: MIT
-- What the server sent as application/json was not always JSON, or not what the handler had said: invalid UTF-8 went out as
-- it was, 1.0 became 1, -0.0 became 0, and an array that had come empty left as {}. A body like `[1]\0` or one with a raw
-- line break in a string was taken; what was refused was told to the client in words of the parser ("T_END").
local http = require "green.http"
local json = require "green.json"
local new_app = require("green.app").new
local response = require "green.response"
local serve = require "process"


describe("a JSON answer", function()
  local app, server

  setup(function()
    app = new_app()
    app:get("/numbers", function() return { 1, 1.0, -0.0, 0.1 + 0.2, 1e300 } end)
    app:get("/long", function() return response.json({ ("x"):rep(100000), 1.0 }, 201) end)
    app:post("/echo", function(req) return req:json() end)
    server = app:listen "127.0.0.1:0"
  end)
  teardown(function() server:finish(10) end)

  local function url(path) return "http://" .. server:address() .. path end

  it("says what the handler said", function()
    local answer = http.get(url "/numbers", { keep_alive = false })
    assert.equal("[1,1.0,-0.0,0.30000000000000004,1e+300]", answer.body)
    assert.equal("application/json", answer.headers["content-type"])
    for _ = 1, 3 do
      answer = http.get(url "/long", { keep_alive = false })
      assert.same({ 201, '["' .. ("x"):rep(100000) .. '",1.0]' }, { answer.status, answer.body })
    end
  end)

  it("gives back what came", function()
    for _, text in ipairs { "[]", "{}", '{"a":[]}', "[1.0,-0.0,9007199254740993]", "[[],[{}]]" } do
      assert.equal(text, http.post(url "/echo", { body = text, keep_alive = false }).body)
    end
  end)

  it("tells a client what is wrong with its body, and where", function()
    for text, said in pairs {
      ["[1]\0"] = "invalid JSON: line 1, column 4: nothing more expected, found the byte 0x00",
      ['{"a":\n "b\nc"}'] = "invalid JSON: line 2, column 4: a control character in a string must be written as an escape",
      ["[1,2"] = "invalid JSON: line 1, column 5: ',' or ']' expected, found the end of the text",
      ["[1.]"] = "invalid JSON: line 1, column 4: a digit must follow the decimal point",
    } do
      local answer = http.post(url "/echo", { body = text, keep_alive = false })
      assert.equal(400, answer.status)
      assert.equal(said, json.decode(answer.body).error)
    end
  end)
end)

it("a JSON answer that cannot be is a 500, and the log says which value", function()
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write [[
    local app = require "green.app".new()
    app:get("/", function() return { rows = { { name = "caf\xe9" } } } end)
    return app
  ]]
  file:close()
  local app <close> = serve(path)
  local answer = http.get(app.url .. "/")
  assert.equal(500, answer.status)
  assert.not_matches("\xe9", answer.body)
  local _, said = app:stop()
  os.remove(path)
  assert.is_truthy(said:find("$.rows[1].name: a string that is not UTF-8 (byte 0xE9) cannot be JSON", 1, true))
end)
