-- SPDX-License-Identifier: MIT
-- What green.model does alike with every database: model(_ENV, dialect), in a spec; specification.dialects says what a dialect is.
local assert = require "luassert"
local connect = require "green.db".connect
local green = require "green"
local model = require "green.model"

local SCHEMA = [[
  CREATE TABLE orders (
    id %s, pizza TEXT NOT NULL, total INTEGER DEFAULT 7, note TEXT, "group" TEXT
  );
  CREATE TABLE settings (key TEXT PRIMARY KEY, "table" TEXT, db TEXT);
]]

return function(spec, dialect)
  local it, before_each, after_each = spec.it, spec.before_each, spec.after_each
  local place, db, Order

  before_each(function()
    place = dialect.fresh()
    db = connect(place.url)
    db:exec(SCHEMA:format(dialect.key))
    Order = model(db, "orders")
  end)

  after_each(function()
    db:close()
    place.close()
  end)

  it("inserts what is new and has the id and the defaults afterwards", function()
    local order = Order:new { pizza = "funghi" }
    assert.equal(order, order:save())
    assert.same({ id = 1, pizza = "funghi", total = 7 }, { id = order.id, pizza = order.pizza, total = order.total })
    assert.equal(1, db:value "SELECT count(*) FROM orders")
  end)

  it("inserts a row of defaults only", function()
    db:exec(("CREATE TABLE ticks (id %s, at TEXT DEFAULT 'now')"):format(dialect.key))
    assert.equal("now", model(db, "ticks"):new():save().at)
  end)

  it("updates what was saved or found, and only the columns that changed", function()
    local order = Order:new { pizza = "funghi" }:save()
    local same = Order:find(order.id)
    order.total = 9
    order:save()
    same.pizza = "napoli"
    same:save()
    local row = db:one "SELECT * FROM orders"
    assert.same({ "napoli", 9 }, { row.pizza, row.total })
    assert.equal(9, same.total) -- save reads the row back
    assert.equal(1, Order:count())
  end)

  it("writes NULL for a field set to nil or to green.null", function()
    local order = Order:new { pizza = "funghi", note = "hot", group = "a" }:save()
    order.note = nil
    order.group = green.null
    order:save()
    assert.is_nil(order.note)
    assert.is_nil(order.group)
    assert.equal(1, Order:count "note IS NULL AND \"group\" IS NULL")
    assert.is_nil(Order:new { pizza = "x", total = green.null }:save().total)
  end)

  it("finds by key, or nothing", function()
    Order:new { pizza = "funghi" }:save()
    assert.equal("funghi", Order:find(1).pizza)
    assert.is_nil(Order:find(2))
    assert.has_error(function() Order:find(nil) end, "find: a key expected, got nil")
  end)

  it("selects by columns, by SQL, and all, in order", function()
    for i = 1, 5 do Order:new { pizza = i % 2 == 0 and "even" or "odd", total = i, note = i == 3 and "x" or nil }:save() end
    local function totals(list)
      local t = {}
      for i, order in ipairs(list) do t[i] = order.total end
      return t
    end
    assert.same({ 2, 4 }, totals(Order:where { pizza = "even" }))
    assert.same({ 1, 5 }, totals(Order:where { pizza = "odd", note = green.null }))
    assert.same({ 5, 4 }, totals(Order:where("total > $1 ORDER BY total DESC", 3)))
    assert.same({ 1, 2, 3, 4, 5 }, totals(Order:all()))
    assert.same({ 1, 2, 3, 4, 5 }, totals(Order:where {}))
    assert.equal(3, Order:count { pizza = "odd" })
    assert.equal(5, Order:count())
  end)

  it("iterates, and may write meanwhile and leave early", function()
    for i = 1, 5 do Order:new { pizza = "p", total = i }:save() end
    local seen = 0
    for order in Order:each("total <= $1", 4) do
      seen = seen + 1
      order.note = "seen"
      order:save()
      if seen == 3 then break end
    end
    assert.equal(3, Order:count { note = "seen" })
  end)

  it("deletes and reloads", function()
    local order = Order:new { pizza = "funghi" }:save()
    db:exec "UPDATE orders SET pizza = 'napoli'"
    assert.equal("napoli", order:reload().pizza)
    assert.is_true(order:delete())
    assert.is_nil(Order:find(1))
    local ok, err = pcall(Order.reload, order)
    assert.same({ false, "ENOENT" }, { ok, err.code })
  end)

  it("tells of a row that is gone instead of inserting it again", function()
    local order = Order:new { pizza = "funghi" }:save()
    db:exec "DELETE FROM orders"
    order.total = 1
    local ok, err = pcall(order.save, order)
    assert.same({ false, "ENOENT" }, { ok, err.code })
    assert.equal("db.model: table 'orders' has no row with id = 1 any more", err.message)
  end)

  it("names the field and the table of a mistake", function()
    local ok, err = pcall(Order.new, Order, { piza = "x" })
    assert.is_false(ok)
    assert.equal("db.model: table 'orders' has no column 'piza' (it has id, pizza, total, note, group)", err.message)
    local order = Order:new { pizza = "x" }
    order.totl = 1
    assert.is_false((pcall(order.save, order)))
    assert.is_false((pcall(Order.where, Order, { ["1=1; --"] = 1 })))
    ok, err = pcall(function() model(db, "nothing"):all() return model(db, "nothing"):new() end)
    assert.is_false(ok)
    assert.matches("nothing", err.message)
  end)

  it("is a class its user adds to, and its instances are plain tables", function()
    function Order:as_table() return { name = self.pizza } end
    function Order.prepare(form) return Order:new { pizza = form.pizza } end
    local order = Order.prepare { pizza = "funghi" }:save()
    assert.same({ name = "funghi" }, order:as_table())
    assert.same({ name = "funghi" }, Order:find(1):as_table())
    assert.equal('{"pizza":"funghi"}', require "cjson".encode(Order:new { pizza = "funghi" }))
  end)

  it("hides no column, and takes any key", function()
    local Setting = model(db, "settings", { key = "key" })
    local s = Setting:new { key = "colour" }:save()
    assert.is_nil(s.table)
    assert.is_nil(s.db)
    s.table = "red"
    s:save()
    assert.equal("red", Setting:find("colour").table)
    s.key = "color"
    s:save()
    assert.is_nil(Setting:find "colour")
    assert.equal("red", Setting:find("color").table)
  end)

  it("saves in its task's transaction", function()
    pcall(db.transaction, db, function()
      Order:new { pizza = "funghi" }:save()
      assert.equal(1, Order:count())
      error "no"
    end)
    assert.equal(0, Order:count())
  end)
end
