-- SPDX-License-Identifier: MIT
-- The JSON of a 4xx quotes what the client sent, `invalid percent escape in '\xff%'`, and was no JSON when that was no UTF-8,
-- or when a long message was cut within a character.
local fault = require "green.error"
local json = require "green.json"
local new_app = require("green.app").new
local raw = require "http.raw"

describe("an error that quotes bytes", function()
  local app = new_app()
  app:post("/form", function(req) return req:form() end)
  app:get("/long/:n", function(req) fault.status(422, "test", "EINVAL", "%s", ("x"):rep(req.params.n) .. ("\u{20ac}"):rep(400)) end)
  app:get("/controls", function() fault.status(422, "test", "EINVAL", "a\n\"\\\27[31m\127") end)

  it("is JSON all the same", function()
    local kind, bytes = "application/x-www-form-urlencoded", "a=\xff\xe2%"
    assert.equal("invalid percent escape in 'a=??%'", json.decode(app:inject({ method = "POST", path = "/form", body = bytes, headers = { ["content-type"] = kind } }).body).error)
    raw.serve(function(req) return app:handle(req) end, nil, function(address)
      local function ask(path) return json.decode(raw.ask(address, raw.get(path)).body).error end
      assert.equal("invalid percent escape in 'a=??%'", json.decode(raw.ask(address, raw.post("/form", bytes, "Content-Type: " .. kind .. "\r\n")).body).error)
      for n = 0, 3 do assert.matches("^x*\u{20ac}\u{20ac}", ask("/long/" .. n)) end
      assert.equal("a \"\\ [31m\127", ask "/controls")
    end)
  end)
end)
