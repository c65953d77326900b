-- SPDX-License-Identifier: MIT
-- What db:query returned also had the keys columns, affected and last_id, and since lists with names are refused as JSON, a
-- handler that returned its rows answered 500; without rows it was an object. A result is an array now, and what it has
-- besides is in its metatable.
local connect = require "green.db".connect
local json = require "green.json"
local model = require "green.model"
local raw = require "http.raw"

describe("rows as JSON", function()
  local db

  before_each(function()
    db = connect "sqlite::memory:"
    db:exec "CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT)"
  end)

  after_each(function() db:close() end)

  it("are an array", function()
    assert.equal("[]", json.encode(db:query "SELECT id FROM orders"))
    local result = db:query "INSERT INTO orders (pizza) VALUES ('funghi'), ('salami') RETURNING id"
    assert.equal('[{"id":1},{"id":2}]', json.encode(result))
    assert.is_true(json.is_array(result))
    assert.same({ "id" }, result.columns)
    assert.equal(2, result.affected)
    assert.equal(2, result.last_id)
    assert.equal('{"rows":[]}', json.encode { rows = db:query "SELECT id FROM orders WHERE 0" })
  end)

  it("are an array of a model's instances", function()
    local Order = model(db, "orders")
    assert.equal("[]", json.encode(Order:all()))
    Order:new { pizza = "funghi" }:save()
    assert.same({ { id = 1, pizza = "funghi" } }, json.decode(json.encode(Order:all())))
    assert.equal("[]", json.encode(Order:where({ pizza = "salami" }):all()))
  end)

  it("are what a handler answers", function()
    db:exec "INSERT INTO orders (pizza) VALUES ('funghi')"
    raw.serve(function(req)
      return db:query("SELECT id FROM orders WHERE id = $1", req.path == "/none" and 0 or 1)
    end, {}, function(address)
      for path, body in pairs { ["/"] = '[{"id":1}]', ["/none"] = "[]" } do
        local client <close> = raw.connect(address)
        client:send(raw.get(path, "Connection: close\r\n"))
        local answer = client:rest()
        assert.matches("^HTTP/1.1 200 ", answer)
        assert.equal(body, answer:match "\r\n\r\n(.*)$")
      end
    end)
  end)
end)
