-- SPDX-License-Identifier: MIT
-- Internal.
-- COPY of PostgreSQL: rows out of the database as an iterator, and into it from one. A copy that is left before its end is given up on the
-- server, in time of the connection's own: the pool has it back when it is good again.
local fault = require "green.error"
local json = require "green.json"

local PIECE = 64 << 10 -- bytes that are gathered before they are sent

-- ---- out ----

local Out = {}
Out.__index = Out

local EMPTY = {}

function Out:close()
  local conn, lease = self.conn, self.lease
  self.conn, self.lease, self.rows, self.ended = nil, nil, EMPTY, true
  if conn then conn:copy_stop() end -- which does nothing when all was read
  if lease then lease:give() end
end

Out.__close = Out.close

-- A statement that copies the other way is one that is given up.
local function begin(self, conn, expected, form)
  local way = conn:copy(self.db.timeout, self.sql)
  if way == expected then return end
  conn:copy_stop()
  fault.raise("db.copy_" .. expected, "EINVAL", "%s expected", form)
end

local function open(self)
  self.conn, self.lease = self.db:lease("writer")
  begin(self, self.conn, "out", "COPY ... TO STDOUT")
end

local function refill(self)
  if self.ended then return end
  if self.last then return self:close() end
  if not self.conn then open(self) end
  self.rows, self.last = self.conn:copy_read(self.db.timeout)
  self.at = 1
  if #self.rows == 0 then return self:close() end
  return self.rows[1]
end

local function next_row(self)
  local at = self.at + 1
  local row = self.rows[at]
  if not row then return refill(self) end
  self.at = at
  return row
end

-- As db:copy_out. Nothing is begun before the first row is asked for, when the for loop guards it.
local function out(db, sql)
  local self = setmetatable({ db = db, sql = sql, at = 0, rows = EMPTY, last = false, ended = false }, Out)
  return next_row, self, nil, self
end

-- ---- in ----

local ESCAPES = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r", ["\b"] = "\\b", ["\f"] = "\\f", ["\v"] = "\\v" }

local KINDS = { string = true, number = true, boolean = true }

local function encode_value(value, row, column)
  if value == json.null then return "\\N" end
  if not KINDS[type(value)] then
    fault.raise("db.copy_in", "EINVAL", "row %d, column %d: a string, a number, a boolean or green.null expected, not a %s", row, column, type(value))
  end
  return (tostring(value):gsub("[\\\t\n\r\b\f\v]", ESCAPES))
end

-- A list of values as a line of COPY's text format.
local function encode(values, row)
  local fields = {}
  for i = 1, #values do fields[i] = encode_value(values[i], row, i) end
  return table.concat(fields, "\t") .. "\n"
end

-- Gives up what was not ended.
local Guard = { __close = function(guard) guard.conn:copy_stop() end }

local function send(conn, timeout, pieces)
  if #pieces > 0 then conn:copy_write(timeout, table.concat(pieces)) end
end

local function send_all(conn, timeout, source)
  local pieces, size, n = {}, 0, 0
  for item in source do
    n = n + 1
    if type(item) == "table" then item = encode(item, n)
    elseif type(item) ~= "string" then fault.misuse("db:copy_in: row %d: a string or a list of values expected, not a %s", n, type(item)) end
    pieces[#pieces + 1], size = item, size + #item
    if size >= PIECE then
      send(conn, timeout, pieces)
      pieces, size = {}, 0
    end
  end
  send(conn, timeout, pieces)
end

-- As db:copy_in.
local function into(db, sql, source)
  local conn, lease = db:lease("writer")
  local _ <close> = lease
  local _ <close> = setmetatable({ conn = conn }, Guard)
  begin({ db = db, sql = sql }, conn, "in", "COPY ... FROM STDIN")
  send_all(conn, db.timeout, source)
  return conn:copy_end(db.timeout)
end

return { out = out, into = into }
