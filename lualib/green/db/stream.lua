-- SPDX-License-Identifier: MIT
-- Internal.
-- db:rows() returns a stream: an iterator that reads a result in batches, and gives its connection back however the loop ends.
local Stream = {}
Stream.__index = Stream

local EMPTY = {}

function Stream:close()
  local cursor, lease = self.cursor, self.lease
  self.cursor, self.lease, self.batch, self.ended = nil, nil, EMPTY, true
  if cursor then cursor:close() end
  if lease then
    self.db:unbind(lease)
    lease:give()
  end
end

Stream.__close = Stream.close

local function open(self)
  local db = self.db
  local conn
  conn, self.lease = db:lease("readers", true)
  if self.lease and db.single then db:bind(self.lease) end
  self.cursor = conn:cursor(self.sql, table.unpack(self, 1, self.n))
end

-- Runs a statement that writes to its end at once, since in batches it would keep all other writers waiting.
local function read_all(self)
  self:close()
  self.ended = nil
  self.batch = self.db:query(self.sql, table.unpack(self, 1, self.n))
  self.whole = true
end

local function fetch(self)
  if not self.db.driver.streams(self.sql) then return false end
  if not self.cursor then open(self) end
  return self.cursor:fetch(self.db.timeout)
end

local function refill(self)
  if self.ended then return end
  if self.whole then return self:close() end
  local batch = fetch(self)
  if batch == nil then return self:close() end
  if batch then self.batch = batch else read_all(self) end
  self.at = 1
  return self.batch[1]
end

local function next_row(self)
  local at = self.at + 1
  local row = self.batch[at]
  if not row then return refill(self) end
  self.at = at
  return row
end

-- Makes a stream. Nothing is opened before the first row is asked for, when the for loop guards the stream.
return function(db, sql, ...)
  local self = setmetatable({ db = db, sql = sql, n = select("#", ...), at = 0, batch = EMPTY, ... }, Stream)
  return next_row, self, nil, self
end
