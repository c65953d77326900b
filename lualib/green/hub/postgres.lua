-- SPDX-License-Identifier: MIT
-- Internal.
-- PostgreSQL as the broker of hubs (hub/shared.lua). All processes listen to one channel of the database, "green_hub", and each takes out of
-- it what somebody there listens to: PostgreSQL wakes all that listen to anything of the database anyhow. A notification is
--
--      ID.NUMBER m LENGTH CHANNEL TEXT     (LENGTH bytes of CHANNEL, and no blank behind it)
--      ID.NUMBER t ROW                     both are in a row of the table green_hub_messages
--
-- ID and NUMBER make it unlike any other: of two that are equal in a transaction PostgreSQL sends one. The table has what is too large
-- for a notification, or is not text to PostgreSQL; whoever adds a row drops what is older than a minute.
--
-- Nobody but the task that receives uses the connection: what is published waits in `outgoing`, and rings. All that waits there is sent
-- in one statement, and `events` has what came of it. Each process holds a shared lock, by which they are counted.
local driver = require "green.db.driver.postgres"
local db_native = require "green.db.native"
local fault = require "green.error"
local scope = require "green.scope.native"

local QUIET = 20          -- seconds without a notification, after which the server is asked whether it is there
local ANSWER = 5          -- seconds that it has to answer
local FOR_EVER = 3600     -- seconds
local BATCH = 500         -- messages of one statement
local MOST = 7999         -- bytes of a notification
local LOCK = "1735550049, 1" -- "grha": what is locked
local LARGEST = 1 << 30   -- bytes of a row

local LISTEN = "LISTEN green_hub"
local ENTER = ("SELECT pg_advisory_lock_shared(%s), pg_backend_pid() AS pid"):format(LOCK) -- who is counted listens already
local COUNT = ("(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (%s) AND objsubid = 2 AND granted " ..
  "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"):format(LOCK)
local SEND = "SELECT pg_notify('green_hub', message) FROM unnest($1::text[]) AS message"
local ASK = "SELECT pg_notify('green_hub', $1), " .. COUNT .. " AS processes"
local CREATE = "CREATE UNLOGGED TABLE IF NOT EXISTS green_hub_messages " ..
  "(id bigserial PRIMARY KEY, sent timestamptz NOT NULL DEFAULT now(), channel bytea NOT NULL, text bytea NOT NULL)"
local SEND_ROW = "WITH message AS (INSERT INTO green_hub_messages (channel, text) VALUES ($1, $2) RETURNING id) " ..
  "SELECT pg_notify('green_hub', $3::text || id) FROM message"
local TIDY = "DELETE FROM green_hub_messages WHERE sent < now() - interval '1 minute'"
local READ_ROW = "SELECT channel, text FROM green_hub_messages WHERE id = $1"

local Link = {}
Link.__index = Link

function Link:publish(channel, text, token)
  table.insert(self.outgoing, { channel = channel, text = text, token = token or true })
  self.unconfirmed = self.unconfirmed + 1
  self.conn:ring()
end

function Link:listen(channels)
  for _, channel in ipairs(channels) do self.channels[channel] = true end
end

function Link:leave(channels)
  for _, channel in ipairs(channels) do self.channels[channel] = nil end
end

-- ---- sending ----

local function note(self, ...) table.insert(self.events, { ... }) end

-- Returns the notification of a message; nil: it does not fit, or is no text.
local function encode(self, message)
  self.number = self.number + 1
  local channel, text = message.channel, message.text
  local whole = ("%s.%d m %d %s%s"):format(self.id, self.number, #channel, channel, text)
  return #whole <= MOST and not whole:find("\0", 1, true) and utf8.len(whole) and whole or nil
end

local function add_row(self, message)
  local blob = db_native.blob
  self.conn:query(ANSWER, LARGEST, SEND_ROW, blob(message.channel), blob(message.text), ("%s.%d t "):format(self.id, self.number))
  self.conn:exec(ANSWER, TIDY)
end

-- Two processes may make the table at the same time, and one of them hears that it is there.
local function send_row(self, message)
  local ok, err = pcall(add_row, self, message)
  if ok then return end
  if not fault.is(err, "42P01") then error(err, 0) end
  local made, why = pcall(self.conn.exec, self.conn, ANSWER, CREATE)
  if not made and not (fault.is(why, "23505") or fault.is(why, "42P07")) then error(why, 0) end
  add_row(self, message)
end

-- Is the connection lost, or does nobody know what was done? Else the server has refused.
local function is_fatal(self, err) return self.conn:lost() or not fault.is(err) or err.code == "ETIMEDOUT" end

-- Sends one message, and says what came of it. `text`: its notification. Raises when the connection is lost.
local function send_one(self, message, text)
  local ok, result = pcall(function()
    if not text then return send_row(self, message) end
    return self.conn:query(ANSWER, LARGEST, ASK, text)[1].processes
  end)
  if ok then return note(self, "published", message.token, result or 0) end
  if is_fatal(self, result) then error(result, 0) end
  note(self, "refused", result, true)
end

-- Sends messages that are text; if that is refused, one by one, to find out which it is.
local function send_many(self, messages, texts)
  if #texts == 0 then return end
  local ok, err = pcall(self.conn.query, self.conn, ANSWER, LARGEST, SEND, texts)
  if not ok and is_fatal(self, err) then error(err, 0) end
  for i, message in ipairs(messages) do
    if ok then note(self, "published", message.token, 0) else send_one(self, message, texts[i]) end
  end
end

local function take(self)
  local _ <close> = scope.atomic()
  local all = table.move(self.outgoing, 1, math.min(BATCH, #self.outgoing), 1, {})
  self.outgoing = table.move(self.outgoing, BATCH + 1, #self.outgoing, 1, {})
  return all
end

-- A cancel must not interrupt it: nobody would know what was sent.
local function flush(self)
  local messages, texts = {}, {}
  local _ <close> = scope.enter(FOR_EVER, true) -- each statement has its time
  for _, message in ipairs(take(self)) do
    local text = encode(self, message)
    if text and message.token == true then
      messages[#messages + 1], texts[#texts + 1] = message, text
    else -- in its turn
      send_many(self, messages, texts)
      messages, texts = {}, {}
      send_one(self, message, text)
    end
  end
  send_many(self, messages, texts)
end

-- ---- receiving ----

-- nil: it is gone, or never was.
local function read_row(self, row)
  local ok, rows = pcall(self.conn.query, self.conn, ANSWER, LARGEST, READ_ROW, math.tointeger(tonumber(row)))
  if not ok and is_fatal(self, rows) then error(rows, 0) end
  if ok and rows[1] then return rows[1].channel, rows[1].text end
end

local function decode(self, payload)
  local kind, rest = payload:match "^%x+%.%d+ ([mt]) ()"
  if kind == "t" then return read_row(self, payload:sub(rest)) end
  local length, from = payload:match("^(%d+) ()", rest)
  local last = from and from + (math.tointeger(tonumber(length)) or #payload) - 1
  if kind == "m" and last and last <= #payload then return payload:sub(from, last), payload:sub(last + 1) end
end

local function hear(self)
  local ok, channel, payload = pcall(self.conn.notification, self.conn, QUIET)
  if not ok then
    if not fault.is(channel, "ETIMEDOUT") then error(channel, 0) end
    self.conn:exec(ANSWER, "SELECT 1")
  elseif channel then
    local topic, text = decode(self, payload)
    if not topic then return "message", "", "" end -- which is counted as refused
    if self.channels[topic] then return "message", topic, text end
  end
end

local function confirmed(self, what, a, b)
  if what == "published" or b then self.unconfirmed = self.unconfirmed - 1 end
  return what, a, b
end

function Link:receive()
  if #self.events > 0 then return confirmed(self, table.unpack(table.remove(self.events, 1), 1, 3)) end
  if #self.outgoing == 0 then return hear(self) end
  flush(self)
end

function Link:close() self.conn:close() end

-- Returns a name of the session that no other has, though a generator of random numbers may have begun like another process's.
local function enter(conn)
  conn:attend()
  conn:exec(ANSWER, LISTEN)
  return ("%x%016x"):format(conn:query(ANSWER, LARGEST, ENTER)[1].pid, math.random(0))
end

--- The broker of a URL. Raises EINVAL for one that is none.
return function(url)
  local name, dial = driver.dialler(url, { name = "greenlua-hub", timeout = ANSWER, prepare = true })
  local function connect()
    local conn = dial()
    local ok, id = pcall(enter, conn)
    if not ok then
      conn:close()
      error(id, 0)
    end
    return setmetatable({
      conn = conn, id = id, address = "r:" .. id, channels = {}, outgoing = {}, events = {}, number = 0, unconfirmed = 0,
    }, Link)
  end
  return { name = name, connect = connect }
end
