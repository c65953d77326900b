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
  local describe, it, before_each, after_each = spec.describe, spec.it, spec.before_each, spec.after_each
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
    assert.same({ 2, 4 }, totals(Order:where({ pizza = "even" }):all()))
    assert.same({ 1, 5 }, totals(Order:where({ pizza = "odd", note = green.null }):all()))
    assert.same({ 5, 4 }, totals(Order:where("total > $1", 3):order("total DESC"):all()))
    assert.same({ 1, 2, 3, 4, 5 }, totals(Order:all()))
    assert.same({ 1, 2, 3, 4, 5 }, totals(Order:where({}):all()))
    assert.equal(3, Order:count { pizza = "odd" })
    assert.equal(5, Order:count())
  end)

  describe("a query", function()
    local function fill()
      for i = 1, 6 do Order:create { pizza = i % 2 == 0 and "even" or "odd", total = i, note = i == 3 and "it's $1" or nil } end
    end

    local function totals(query) return query:pluck "total" end

    it("has lists, operators and null as conditions", function()
      fill()
      local function of(condition, ...) return table.concat(totals(Order:where(condition, ...)), " ") end
      assert.equal("1 3", of { total = { 1, 3, 9 } })
      assert.equal("2 4 5 6", of { total = { ["~="] = { 1, 3 } } })
      assert.equal("", of { total = {} })
      assert.equal("1 2 3 4 5 6", of { total = { ["~="] = {} } })
      assert.equal("3 4", of { total = { [">"] = 2, ["<="] = 4 } })
      assert.equal("4", of { total = { [">="] = 3, ["<"] = 5 }, pizza = "even" })
      assert.equal("2 4 6", of { pizza = { like = "ev%" } })
      assert.equal("1 3 5", of { pizza = { ["!="] = "even" } })
      assert.equal("3", of { note = { ["~="] = green.null } })
      assert.equal("1 2 4 5 6", of { note = { ["="] = green.null } })
    end)

    it("refuses what is no condition", function()
      local function refused(message, condition, ...)
        local ok, err = pcall(Order.where, Order, condition, ...)
        assert.is_false(ok)
        assert.matches(message, type(err) == "table" and err.message or err, 1, true)
      end
      refused("a condition on \"total\": '>>' is no operator: =, ~=, <, <=, >, >= or like expected", { total = { [">>"] = 1 } })
      refused("a list is compared by = or ~=, not by <", { total = { ["<"] = { 1, 2 } } })
      refused("nothing is < null", { total = { ["<"] = green.null } })
      refused("a list cannot hold null", { total = { 1, green.null } })
      refused("table 'orders' has no column 'totl'", { totl = 1 })
      refused("an SQL condition expected, got number", 5)
    end)

    it("puts SQL and columns together, whatever is quoted in it", function()
      fill()
      assert.same({ 3 }, totals(Order:where { pizza = "odd" }:where("note = 'it''s $1' OR total = $1", 99):where("total < $2 AND total > $1", 2, 5)))
      assert.same({ 1 }, totals(Order:where("total = $1 OR pizza = '$1'", 1):where([[ "total" < $1 ]], 3)))
    end)

    it("is a value that each step leaves as it is", function()
      fill()
      local even = Order:where { pizza = "even" }
      local largest = even:order("total DESC"):limit(2)
      assert.same({ { 2, 4, 6 }, { 6, 4 }, { 4, 2 }, { 2, 4, 6 } }, { totals(even), totals(largest), totals(largest:offset(1)), totals(even) })
    end)

    it("has order, limit and offset", function()
      fill()
      assert.same({ 2, 4, 6, 1, 3, 5 }, totals(Order:order("pizza", "total")))
      assert.same({ 5, 3, 1, 6, 4, 2 }, totals(Order:order("pizza desc", " total  DESC ")))
      assert.same({ 5, 6 }, totals(Order:offset(4)))
      assert.same({ 2, 3 }, totals(Order:offset(1):limit(2)))
      assert.same({}, totals(Order:limit(0)))
      for _, bad in ipairs { "total; DROP TABLE orders", "total sideways", "nothing", "", "lower(total)" } do
        assert.is_false((pcall(Order.order, Order, bad)))
      end
      assert.has_error(function() Order:limit(-1) end, "query:limit: n: a whole number >= 0 expected, not -1")
    end)

    it("ends with the first row, a count, whether there is one, a column", function()
      fill()
      assert.equal(6, Order:order("total DESC"):first().total)
      assert.is_nil(Order:first { total = 99 })
      assert.is_nil(Order:limit(0):first())
      assert.equal(2, Order:offset(4):count())
      assert.equal(3, Order:where({ pizza = "odd" }):limit(5):count())
      assert.same({ true, false, false }, { Order:exists { total = 1 }, Order:where({ total = 9 }):exists(), Order:limit(0):exists() })
      assert.same({ { pizza = "odd", total = 1 }, { pizza = "even", total = 2 } }, Order:limit(2):pluck("pizza", "total"))
      assert.same({ green.null, green.null, "it's $1" }, Order:limit(3):pluck "note")
      local seen = {}
      for order in Order:where({ pizza = "odd" }):order("total DESC"):each() do
        seen[#seen + 1] = order.total
        order.note = "seen"
        order:save()
      end
      assert.same({ { 5, 3, 1 }, 3 }, { seen, Order:count { note = "seen" } })
    end)

    it("writes to all its rows, and says how many there were", function()
      fill()
      assert.equal(3, Order:where({ pizza = "odd" }):update { note = "x", group = green.null })
      assert.equal(3, Order:count { note = "x" })
      assert.equal(2, Order:where("note = $1", "x"):order("total DESC"):limit(2):update { note = "y" })
      assert.same({ 3, 5 }, totals(Order:where { note = "y" }))
      assert.equal(2, Order:where({ note = "y" }):increment("total", 10))
      assert.equal(1, Order:where({ total = 13 }):increment "total")
      assert.same({ 14, 15 }, totals(Order:where { note = "y" }))
      assert.equal(1, Order:where({ note = "y" }):limit(1):delete())
      assert.equal(5, Order:count())
      assert.equal(0, Order:where({ total = 99 }):delete())
      assert.equal(0, Order:where({ note = "y" }):update {})
      assert.is_false((pcall(Order:where({}).update, Order:where {}, { totl = 1 })))
    end)

    it("is no list, and says what makes one", function()
      local query = Order:where {}
      assert.has_error(function() return #query end, "a query has no length: query:count() counts the rows, query:all() returns a list")
      assert.has_error(function() return query[1] end, "a query is no list: query:all() returns one, query:each() goes over the rows")
      assert.has_error(function() for _ in pairs(query) do break end end)
      assert.is_false((pcall(require "green.json".encode, query)))
      assert.has_error(function() query.all {} end, "use query:all(...), not query.all(...)")
    end)
  end)

  it("creates, and adds to a column without losing what others add", function()
    local order = Order:create { pizza = "funghi" }
    local same = Order:find(order.id)
    assert.equal(8, order:increment("total").total)
    assert.equal(6, same:increment("total", -2).total)
    same.note = "x"
    same:save()
    assert.equal(6, Order:find(order.id).total)
    db:exec "DELETE FROM orders"
    assert.equal("ENOENT", select(2, pcall(order.increment, order, "total")).code)
    assert.is_false((pcall(order.increment, order, "nothing")))
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

  it("inserts many, all or none, with what each has by itself", function()
    local list = {}
    for i = 1, 700 do list[i] = { pizza = "p" .. i, total = i % 2 == 0 and i or nil, note = i % 3 == 0 and green.null or nil } end
    assert.equal(700, Order:insert_all(list))
    assert.same({ 700, 7, 350 }, { Order:count(), Order:find(1).total, Order:find(350).total })
    assert.equal(350, Order:where({ total = { ["~="] = 7 } }):count())
    assert.same({ pizza = "p1" }, list[1]) -- what was given stays as it is
    assert.equal(0, Order:insert_all {})
    list[1] = { pizza = green.null }
    assert.is_false((pcall(Order.insert_all, Order, { { pizza = "kept?" }, table.unpack(list, 1, 2) })))
    assert.equal(700, Order:count())
    assert.has_error(function() Order:insert_all { 5 } end, "Model:insert_all: list[1]: a table expected, not 5")
    db:exec(("CREATE TABLE ticks (id %s, at TEXT DEFAULT 'now')"):format(dialect.key))
    local Tick = model(db, "ticks")
    assert.equal(3, Tick:insert_all { {}, {}, { at = "then" } })
    assert.same({ "now", "now", "then" }, Tick:pluck "at")
  end)

  it("puts a row in the place of the one with its key", function()
    local Setting = model(db, "settings", { key = "key" })
    assert.equal("red", Setting:upsert({ key = "colour", table = "red", db = "a" }).table)
    local changed = Setting:upsert { key = "colour", table = "blue" }
    assert.same({ "blue", "a" }, { changed.table, changed.db })
    changed = Setting:upsert({ key = "colour", table = "green", db = "b" }, { update = { "db" } })
    assert.same({ "blue", "b", 1 }, { changed.table, changed.db, Setting:count() })
    assert.equal("blue", Setting:upsert({ key = "colour", table = "no" }, { on = "key", update = {} }).table)
    changed.table = "white"
    assert.equal("white", changed:save():reload().table)
    assert.has_error(function() Setting:upsert({ key = "a" }, { on = {} }) end, "Model:upsert: option 'on': columns expected")
    for _, how in ipairs { { on = "nothing" }, { update = { "nothing" } }, { onn = "key" }, { update = { 1 } } } do
      assert.is_false((pcall(Setting.upsert, Setting, { key = "a" }, how)))
    end
    assert.equal(1, Setting:count())
  end)

  describe("with timestamps", function()
    local Note

    before_each(function()
      db:exec(("CREATE TABLE notes (id %s, body TEXT UNIQUE, created_at TEXT, updated_at TEXT)"):format(dialect.key))
      Note = model(db, "notes", { timestamps = true })
    end)

    it("says when a row was made, and when it was changed", function()
      local note = Note:create { body = "a" }
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", note.created_at)
      assert.equal(note.created_at, note.updated_at)
      db:exec "UPDATE notes SET created_at = 'long ago', updated_at = 'long ago'"
      note:reload():save() -- nothing to change
      assert.equal("long ago", note.updated_at)
      note.body = "b"
      note:save()
      assert.equal("long ago", note.created_at)
      assert.matches("Z$", note.updated_at)
      note.body, note.updated_at = "c", "as I say"
      assert.equal("as I say", note:save().updated_at)
      assert.equal("mine", Note:create({ body = "d", created_at = "mine" }).created_at)
      Note:insert_all { { body = "e" } }
      assert.matches("Z$", Note:first({ body = "e" }).created_at)
    end)

    it("keeps when it was made in an upsert", function()
      db:exec "INSERT INTO notes (body, created_at, updated_at) VALUES ('a', 'long ago', 'long ago')"
      local note = Note:upsert({ body = "a" }, { on = "body" })
      assert.equal("long ago", note.created_at)
      assert.matches("Z$", note.updated_at)
    end)

    it("needs the columns", function()
      local ok, err = pcall(function() return model(db, "orders", { timestamps = true }):count() end)
      assert.is_true(ok)
      ok, err = pcall(function() return model(db, "orders", { timestamps = true }):new() end)
      assert.same({ false, "ENOENT" }, { ok, err.code })
      assert.matches("no column 'created_at' for the timestamps", err.message)
    end)
  end)

  describe("with a version", function()
    local Doc

    before_each(function()
      db:exec(("CREATE TABLE docs (id %s, body TEXT UNIQUE, version INTEGER NOT NULL)"):format(dialect.key))
      Doc = model(db, "docs", { version = "version" })
    end)

    it("refuses to save over what somebody else saved meanwhile", function()
      local doc = Doc:create { body = "a" }
      local other = Doc:find(doc.id)
      other.body = "b"
      assert.equal(2, other:save().version)
      doc.body = "c"
      local ok, err = pcall(doc.save, doc)
      assert.same({ false, "ESTALE" }, { ok, err.code })
      assert.equal("db.model: the row of 'docs' with id = 1 was changed by somebody else since it was read: reload it", err.message)
      doc:reload().body = "c"
      assert.equal(3, doc:save().version)
      doc:save()
      assert.equal(3, Doc:find(1).version)
      other:reload():delete()
      doc.body = "d"
      assert.equal("ENOENT", select(2, pcall(doc.save, doc)).code)
    end)

    it("counts every way of changing a row", function()
      Doc:create { body = "a" }
      assert.equal(2, Doc:upsert({ body = "a" }, { on = "body" }).version)
      db:exec "CREATE TABLE points (id INTEGER PRIMARY KEY, n INTEGER, version INTEGER)"
      local Point = model(db, "points", { version = "version" })
      local point = Point:create { id = 1, n = 0 }
      assert.equal(2, point:increment("n").version)
      point.n = 5
      assert.equal(3, point:save().version)
      Point:insert_all { { id = 2, n = 1 } }
      assert.equal(1, Point:find(2).version)
    end)
  end)

  describe("relations", function()
    local Author, Book, Tag, Tagging
    local statements

    -- Counts the statements that fn needs.
    local function counted(fn)
      statements = 0
      return fn(), statements
    end

    before_each(function()
      db:exec(([[
        CREATE TABLE authors (id %s, name TEXT);
        CREATE TABLE books (id %s, title TEXT, author_id INTEGER);
        CREATE TABLE tags (id %s, word TEXT);
        CREATE TABLE taggings (id %s, book INTEGER, tag INTEGER);
      ]]):format(dialect.key, dialect.key, dialect.key, dialect.key))
      local watched = setmetatable({ models = {} }, { __index = function(_, name)
        return function(_, ...)
          if name ~= "columns" then statements = (statements or 0) + 1 end
          return db[name](db, ...)
        end
      end })
      Author, Book, Tag, Tagging = model(watched, "authors"), model(watched, "books"), model(watched, "tags"), model(watched, "taggings")
      Book:belongs_to("author", Author)
      Author:has_many("books", Book, { key = "author_id" })
      Book:has_many("tags", Tag, { through = Tagging, key = "book", other_key = "tag" })
      Tag:has_many("books", Book, { through = Tagging, key = "tag", other_key = "book" })
      Author:insert_all { { name = "ann" }, { name = "bob" }, { name = "nobody" } }
      Book:insert_all { { title = "a", author_id = 1 }, { title = "b", author_id = 2 }, { title = "c", author_id = 1 }, { title = "d" } }
      Tag:insert_all { { word = "old" }, { word = "new" } }
      Tagging:insert_all { { book = 1, tag = 2 }, { book = 1, tag = 1 }, { book = 3, tag = 1 }, { book = 3, tag = 1 }, { book = 3, tag = 99 } }
    end)

    it("of one row are a row, or a query", function()
      assert.equal("ann", Book:find(3):author().name)
      assert.is_nil(Book:find(4):author())
      assert.same({ "a", "c" }, Author:find(1):books():pluck "title")
      assert.equal(1, Author:find(1):books():where({ title = "c" }):count())
      assert.same({}, Author:find(3):books():all())
      assert.same({}, Author:new({ name = "new" }):books():all())
      assert.same({ "old", "new" }, Book:find(1):tags():pluck "word")
      assert.same({ "old" }, Book:find(3):tags():pluck "word")
      assert.same({ "c", "a" }, Tag:find(1):books():order("title DESC"):pluck "title")
    end)

    it("of many rows are asked for at once", function()
      local books, n = counted(function() return Book:with("author", "tags"):all() end)
      assert.equal(4, n) -- books, authors, taggings, tags
      local got
      got, n = counted(function()
        local lines = {}
        for i, book in ipairs(books) do
          local author, words = book:author(), {}
          for j, tag in ipairs(book:tags():all()) do words[j] = tag.word end
          lines[i] = ("%s %s %s %d"):format(book.title, author and author.name or "-", table.concat(words, "+"), book:tags():count())
        end
        return lines
      end)
      assert.same({ { "a ann old+new 2", "b bob  0", "c ann old 1", "d -  0" }, 0 }, { got, n })
      local authors = Author:with("books"):all()
      got, n = counted(function() return authors[1]:books():all()[2].title .. authors[1]:books():first().title .. #authors[3]:books():all() end)
      assert.same({ "ca0", 0 }, { got, n })
      got, n = counted(function() return authors[1]:books():order("title DESC"):first().title end) -- narrowed: asked anew
      assert.same({ "c", 1 }, { got, n })
      got, n = counted(function() return Book:where({ title = "c" }):with("author"):first():author().name end)
      assert.same({ "ann", 2 }, { got, n })
    end)

    it("are asked for anew when the row has another key, or was reloaded", function()
      local book = Book:with("author"):first()
      book.author_id = 2
      assert.equal("bob", book:author().name)
      book:reload()
      db:exec "UPDATE authors SET name = 'anna' WHERE id = 1"
      assert.equal("anna", book:author().name)
    end)

    it("leave a row a plain table of its columns", function()
      local book = Book:with("author", "tags"):first()
      local json = require "green.json"
      assert.same({ author_id = 1, id = 1, title = "a" }, json.decode(json.encode(book)))
      assert.same({ "a", 1 }, { book:save().title, book.author_id })
    end)

    it("preload thousands in portions", function()
      local rows = {}
      for i = 1, 2500 do rows[i] = { name = "n" .. i } end
      Author:insert_all(rows)
      for i = 1, 2500 do rows[i] = { title = "t" .. i, author_id = i + 3 } end
      Book:insert_all(rows)
      local authors = Author:offset(3):with("books"):all()
      assert.equal(2500, #authors)
      for i = 1, 2500, 333 do assert.equal("t" .. i, authors[i]:books():all()[1].title) end
    end)

    it("are refused where they make no sense", function()
      local function refused(message, fn, ...)
        local ok, err = pcall(fn, ...)
        assert.is_false(ok)
        assert.matches(message, tostring(err), 1, true)
      end
      refused("Model:belongs_to: a model expected, got string", Book.belongs_to, Book, "x", "authors")
      refused("a model expected, got table", Book.belongs_to, Book, "x", Author:new())
      refused("a relation 'save': the model has something of this name already", Book.belongs_to, Book, "save", Author)
      refused("a relation 'author': the model has", Book.belongs_to, Book, "author", Author)
      refused("option 'key': the column with the key of ours expected", Author.has_many, Author, "others", Book)
      refused("go together", Author.has_many, Author, "others", Book, { key = "author_id", through = Tagging })
      refused("did you mean 'key'", Author.has_many, Author, "others", Book, { kye = "author_id" })
      refused("the model has no relation 'authr'", Book.with, Book, "authr")
      refused("preloads nothing", function() Book:with("author"):each() end)
      refused("use instance:author(), of a row", Book.author, Book)
      refused("no column 'author'", function() Author:find(1):books():where({ author = 1 }):all() end)
      Tagging:belongs_to("order", Book, { key = "book" })
      assert.same({ "c", 5 }, { Tagging:order("id DESC"):first():order().title, Tagging:order("id"):count() }) -- both are there
      Book:belongs_to("writer", Author)
      refused("no column 'writer_id'", function() Book:find(1):writer() end)
      refused("no column", function() Book:with("writer"):all() end)
    end)
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
