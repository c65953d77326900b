-- SPDX-License-Identifier: MIT
-- Values of PostgreSQL, both ways: as parameters for columns of their type, and back.
-- Needs: databases
local blob = require "green.db".blob
local null = require "green".null
local outcome = require "outcome"
local postgres = require "peers.postgres"

local failure = outcome.failure
local pg, place, db

postgres.around(_ENV, nil, function(...) pg, place, db = ... end)

-- NaN is NaN here, and an integer is no float.
local function check_same(want, got)
  assert.equal(math.type(want) or type(want), math.type(got) or type(got))
  if want == want then assert.equal(want, got) else assert.is_true(got ~= got) end
end

-- { type, value that is bound, value that comes back (nil: the same) }
local CASES = {
  { "int2", 32767 }, { "int2", -32768 },
  { "int4", 2147483647 }, { "int4", -2147483648 }, { "int4", "7", 7 },
  { "int8", math.maxinteger }, { "int8", math.mininteger }, { "int8", (1 << 53) + 1 }, { "int8", 0 },
  { "int8", 3.0, 3 },
  { "oid", 4294967295 },
  { "float4", 0.5 }, { "float4", -math.huge },
  { "float8", 0.1 }, { "float8", -1e300 }, { "float8", 5e-324 }, { "float8", math.huge }, { "float8", -math.huge }, { "float8", 0 / 0 },
  { "float8", 3.0 }, { "float8", 3, 3.0 }, { "float8", 1 / 3 },
  { "numeric", "12345678901234567890.123456789" }, { "numeric", "NaN" }, { "numeric", 7, "7" }, { "numeric", 0.5, "0.5" },
  { "numeric(10,2)", "3.1", "3.10" },
  { "bool", true }, { "bool", false }, { "bool", "yes", true },
  { "text", "" }, { "text", "Grüße" }, { "text", "'; DROP TABLE t; --" }, { "text", "\\x00 \\' \1\127" }, { "text", ("x"):rep(300000) },
  { "text", "NULL" }, { "text", "7" }, { "text", 7, "7" },
  { "varchar(5)", "abc" }, { "char(5)", "abc", "abc  " }, { "name", "abc" },
  { "bytea", blob "", "" }, { "bytea", blob "\0\255\\x41'", "\0\255\\x41'" }, { "bytea", blob(("\0\1\254"):rep(100000)), ("\0\1\254"):rep(100000) },
  { "date", "2024-02-29" }, { "date", "0044-03-15 BC" }, { "date", "infinity" },
  { "timestamp", "2024-02-29 23:59:59.123456" }, { "timestamp", "2024-02-29T00:00:00", "2024-02-29 00:00:00" },
  { "time", "23:59:59.5" }, { "interval", "1 day 02:03:04" },
  { "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" }, { "uuid", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
  { "inet", "192.168.0.1/24" }, { "point", "(1,2)" }, { "bit(4)", "1010" }, { "int4range", "[1,5)" }, { "money", "$1.50" },
}

local function round_trip(column, ...)
  db:exec(("CREATE TABLE t (v %s)"):format(column))
  assert.equal(1, (db:exec("INSERT INTO t (v) VALUES ($1)", ...)))
  return db:one "SELECT v FROM t"
end

for i, case in ipairs(CASES) do
  local kind, bound, want = table.unpack(case, 1, 3)
  if want == nil then want = bound end
  it(("%d: %s comes back as %s"):format(i, kind, tostring(want):sub(1, 40):gsub("%c", ".")), function()
    check_same(want, round_trip(kind, bound).v)
  end)
end

it("timestamps with time zone come back in the session's zone, with its offset", function()
  assert.equal("2024-06-01 10:00:00+00", db:transaction(function()
    db:exec "SET LOCAL TIME ZONE 'UTC'"
    return db:value("SELECT $1::timestamptz AS v", "2024-06-01T12:00:00+02:00")
  end))
end)

it("NULL is an absent key, from nil and from green.null, for every type", function()
  for _, kind in ipairs { "int4", "int8", "float8", "numeric", "bool", "text", "bytea", "json", "timestamp", "uuid", "int4[]" } do
    assert.same({ c = 1 }, db:one(("SELECT $1::%s AS a, $2::%s AS b, $3::int4 AS c"):format(kind, kind), nil, null, 1))
  end
  assert.same({ c = 1 }, db:one("SELECT $1::text AS a, 1 AS c, $2::text AS b", "x" and nil, nil))
end)

it("false is a value, not NULL", function()
  assert.same({ a = false, b = true }, db:one "SELECT false AS a, true AS b, NULL::bool AS c")
  assert.is_false(db:value "SELECT false")
end)

it("JSON is what green.json makes of it, both ways", function()
  local json = require "green.json"
  local value = { x = { 1, 2, null }, y = "ü", z = { a = 0.5 } }
  db:exec "CREATE TABLE t (a json, b jsonb)"
  for _, bound in ipairs { value, json.encode(value) } do
    db:exec "DELETE FROM t"
    db:exec("INSERT INTO t VALUES ($1, $2)", bound, bound)
    local row = db:one "SELECT a, b, b->>'y' AS y, (b->'x'->>1)::int AS n FROM t"
    assert.same({ a = value, b = value, y = "ü", n = 2 }, row)
  end
  assert.equal("[]", db:value("SELECT $1::jsonb::text", json.array()))
  assert.same({ 1, "a" }, db:value("SELECT $1::jsonb", { 1, "a" }))
  assert.equal(7, db:value "SELECT '7'::json")
  assert.equal(null, db:value "SELECT 'null'::jsonb") -- which is not SQL's NULL
  assert.equal("22P02", failure(db.exec, db, "INSERT INTO t (a) VALUES ($1)", "{").code)
end)

local ARRAYS = {
  { "int4[]", { 1, 2, 3 } }, { "int8[]", { math.maxinteger, math.mininteger } }, { "int4[]", { null, 2 } }, { "int4[]", { { 1, 2 }, { 3, 4 } } },
  { "float8[]", { 0.5, 1e300 } }, { "bool[]", { true, false, null } }, { "numeric[]", { "1.10", "NaN" } },
  { "text[]", { "a", "", "a b", "NULL", "null", "{", "}", ",", '"', "\\", "\\\\\"", "é", "\n\t\1\127", "a,b", "'" } },
  { "text[]", { "NULL", null } }, { "varchar[]", { "x" } }, { "uuid[]", { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" } },
  { "date[]", { "2024-02-29" } }, { "timestamp[]", { "2024-02-29 23:59:59" } }, { "jsonb[]", { "[1]", null }, { { 1 }, null } },
}
for i, case in ipairs(ARRAYS) do
  it(("array %d of %s comes back as it went in"):format(i, case[1]), function()
    local got = round_trip(case[1], case[2]).v
    assert.same(case[3] or case[2], got)
    assert.is_true(require "green.json".is_array(got))
  end)
end

it("arrays may be empty, be written as text, have bounds of their own, and be compared with", function()
  assert.same({}, db:value("SELECT $1::int[]", "{}"))
  assert.same({}, db:value("SELECT $1::int[]", require "green.json".array()))
  assert.same({ 1, null, 3 }, db:value("SELECT $1::int[]", "{1,NULL,3}"))
  assert.same({ 1, 2 }, db:value "SELECT '[0:1]={1,2}'::int[]")
  db:exec "CREATE TABLE t (v int); INSERT INTO t SELECT generate_series(1, 10)"
  assert.equal(3, db:value("SELECT count(*) FROM t WHERE v = ANY ($1)", { 2, 4, 6, 11 }))
  assert.equal(0, db:value("SELECT count(*) FROM t WHERE v = ANY ($1::int[])", require "green.json".array()))
end)

it("enums, ranges and composites come as text, and are taken so", function()
  db:exec "CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int CHECK (VALUE < 10)"
  db:exec "CREATE TABLE t (m mood, p pair, r int4range, s small)"
  db:exec("INSERT INTO t VALUES ($1, $2, $3, $4)", "so so", '(1,"x y")', "[1,5)", 7)
  assert.same({ m = "so so", p = '(1,"x y")', r = "[1,5)", s = 7 }, db:one "SELECT * FROM t")
  assert.equal(1, db:value("SELECT count(*) FROM t WHERE m = $1", "so so"))
  assert.equal("22P02", failure(db.exec, db, "INSERT INTO t (m) VALUES ($1)", "glad").code)
  assert.equal("23514", failure(db.exec, db, "INSERT INTO t (s) VALUES ($1)", 10).code)
end)

it("integers that do not fit their column are refused, and nothing is cut off", function()
  db:exec "CREATE TABLE t (a int2, b int4)"
  assert.equal("22003", failure(db.exec, db, "INSERT INTO t (a) VALUES ($1)", 32768).code)
  assert.equal("22003", failure(db.exec, db, "INSERT INTO t (b) VALUES ($1)", 1 << 31).code)
  assert.equal(0, db:value "SELECT count(*) FROM t")
end)

it("a parameter may be used twice, in any order, and compared with columns of several types", function()
  assert.same({ a = 2, b = 1, c = 2 }, db:one("SELECT $2::int AS a, $1::int AS b, $2::int AS c", 1, 2))
  db:exec "CREATE TABLE t (i int4, f float8, s text); INSERT INTO t VALUES (1, 1.5, '1')"
  assert.equal(1, db:value("SELECT count(*) FROM t WHERE i = $1 AND f = $2 AND s = $3", 1, 1.5, "1"))
  assert.equal(1, db:value("SELECT count(*) FROM t WHERE i + $1 = 3 AND f < $2", 2, 7))
  assert.equal(1, db:value("SELECT count(*) FROM t LIMIT $1 OFFSET $2", 1, 0))
end)

it("the same statement takes values of other types the next time", function()
  db:exec "CREATE TABLE t (n int, f float8, s text)"
  for _, v in ipairs { 1, 2.5, "3", true } do
    local ok = pcall(db.exec, db, "INSERT INTO t (s) VALUES ($1)", v)
    assert.is_true(ok or v == true, tostring(v))
  end
  for _, v in ipairs { 1, 2.5, "3" } do db:exec("INSERT INTO t (f) VALUES ($1)", v) end
  assert.same({ f = 6.5 }, db:one "SELECT sum(f) AS f FROM t")
end)

it("parameters are counted", function()
  assert.is_string(failure(db.query, db, "SELECT $1::int", 1, 2).code or "")
  assert.is_false((pcall(db.query, db, "SELECT $1::int AS a, $2::int AS b", 1)))
  assert.is_false((pcall(db.query, db, "SELECT $1::int", {})))
  assert.is_false((pcall(db.query, db, "SELECT $1::int", print)))
  assert.equal(1, db:value("SELECT $1::int", 1))
end)

it("a string with a zero byte is refused as text, before or by the server, and is bytea as a blob", function()
  assert.is_false((pcall(db.value, db, "SELECT $1::text", "a\0b")))
  assert.equal("a", db:value("SELECT $1::text", "a"))
  assert.equal("a\0b", db:value("SELECT $1::bytea", blob "a\0b"))
end)

it("text that is not UTF-8 is refused by the server, and the connection stays good", function()
  assert.equal("22021", failure(db.value, db, "SELECT $1::text", "\xff").code)
  assert.equal("ok", db:value "SELECT 'ok'")
end)

it("SQL with a zero byte is refused whole", function()
  db:exec "CREATE TABLE t (v int)"
  assert.is_false((pcall(db.exec, db, "INSERT INTO t VALUES (1)\0; nonsense")))
  assert.is_false((pcall(db.query, db, "SELECT 1\0")))
  assert.equal(0, db:value "SELECT count(*) FROM t")
end)

it("columns of one name: the last one counts, as with SQLite; columns tells both", function()
  local r = db:query "SELECT 1 AS a, 2 AS a"
  assert.same({ "a", "a" }, r.columns)
  assert.same({ a = 2 }, r[1])
end)

it("rows of no columns, results of no rows, and statements of no result", function()
  assert.equal(3, #db:query "SELECT FROM generate_series(1, 3)")
  assert.same({}, { table.unpack(db:query "SELECT 1 WHERE false") })
  assert.equal(0, #db:query "CREATE TABLE t (v int)")
  assert.equal("[]", require "green.json".encode(db:query "SELECT 1 WHERE false"))
  assert.equal(0, #db:query "")
  assert.equal(0, #db:query "-- nothing")
end)

it("1,600 columns and 65,535 parameters", function()
  local columns, places, values = {}, {}, {}
  for i = 1, 1600 do columns[i] = ("%d AS c%d"):format(i, i) end
  local row = db:one("SELECT " .. table.concat(columns, ", "))
  assert.same({ 1, 1600 }, { row.c1, row.c1600 })
  for i = 1, 65535 do places[i], values[i] = ("($%d::int)"):format(i), i end
  assert.equal(65535 * 65536 // 2, db:value("SELECT sum(v)::int8 FROM (VALUES " .. table.concat(places, ",") .. ") AS t (v)", table.unpack(values)))
  values[65536] = 1
  assert.is_false((pcall(db.value, db, "SELECT 1", table.unpack(values))))
end)

it("a result beyond max_result is refused, and the connection goes on", function()
  local small = db:with { max_result = 100000 }
  assert.equal(50000, #small:value "SELECT repeat('x', 50000)")
  assert.is_false((pcall(small.query, small, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")))
  assert.equal(1, small:value "SELECT 1")
  pg:settled(place.name)
end)
