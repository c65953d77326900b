-- SPDX-License-Identifier: MIT
-- Internal.
-- PostgreSQL as a database of green.db (green.db.database says what a driver is): one pool, whose connections read and write.
local fault = require "green.error"
local listening = require "green.db.listening"
local net = require "green.net"
local Pool = require "green.pool.lending"
local postgres = require "green.db.postgres.native"

local M = {
  name = "postgres",
  defaults = { size = 10, min = 0, idle = 600, max_age = 3600, prepare = true },
  left_open = "25001", -- active_sql_transaction
  copies = true,
}

local CONNECT = 10 -- seconds, unless connect_timeout says otherwise
local BATCH = 100  -- rows

function M.kind_of() return "writer" end

local READS = { SELECT = true, VALUES = true, TABLE = true, WITH = true }

-- A cursor has no statement that writes, be it within WITH. Such a word in a text or a comment makes the rows come at once.
function M.streams(sql)
  local first = sql:match("^%s*(%a*)"):upper()
  if not READS[first] then return false end
  if first ~= "WITH" then return true end
  local lower = sql:lower()
  return not (lower:find "%f[%w_$]insert%f[^%w_$]" or lower:find "%f[%w_$]update%f[^%w_$]" or lower:find "%f[%w_$]delete%f[^%w_$]"
    or lower:find "%f[%w_$]merge%f[^%w_$]")
end

local COLUMNS = [[
SELECT a.attname AS name, coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0) AS key
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = coalesce(to_regclass(quote_ident($1)), to_regclass($1)) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum]]

function M.columns(db, name) return db:query(COLUMNS, name) end

-- ---- transactions ----

function M.begin(conn, timeout, how)
  local mode = {}
  if how.isolation then mode[1] = "ISOLATION LEVEL " .. how.isolation:upper() end
  if how.read_only then mode[#mode + 1] = "READ ONLY" end
  if how.deferrable then mode[#mode + 1] = "DEFERRABLE" end
  conn:begin(timeout, table.concat(mode, ", "))
end

-- serialization_failure, deadlock_detected
function M.may_retry(code) return code == "40001" or code == "40P01" end

-- ---- rows in batches: a cursor of the server's ----
--
--     new --fetch: DECLARE--> open --fetch: fewer rows than asked for--> ended
--                              '--close-------------------------------> ended
--
-- It lives in the transaction of its task, where CLOSE ends it. Without one it has a transaction of its own, which is committed when
-- the rows are all there, and which the pool rolls back when the loop is left before. On a connection that is pinned, where other
-- statements of the task run meanwhile, and must be kept, the server holds the rows (WITH HOLD).

local Cursor = {}
Cursor.__index = Cursor

local pinned = setmetatable({}, { __mode = "k" }) -- connections that their task keeps outside of a transaction, too

function postgres.methods.pin(conn, on) pinned[conn] = on or nil end

local names = setmetatable({}, { __mode = "k" }) -- by connection: which names its open cursors have

local function name_of(conn)
  local taken = names[conn] or {}
  names[conn] = taken
  local n = 1
  while taken[n] do n = n + 1 end
  taken[n] = true
  return n
end

local function open(self, timeout)
  local conn, hold = self.conn, ""
  if not conn:in_transaction() then
    if pinned[conn] then
      hold = " WITH HOLD"
    else
      conn:begin(timeout)
      self.own = true
    end
  end
  self.n = name_of(conn)
  self.name = "green_rows_" .. self.n
  conn:exec(timeout, ("DECLARE %s NO SCROLL CURSOR%s FOR %s"):format(self.name, hold, self.sql), table.unpack(self, 1, self.count))
end

local function finish(self)
  self.ended = true
  if self.n then names[self.conn][self.n] = nil end
end

-- Returns the next rows; nil when there are no more.
function Cursor:fetch(timeout)
  if self.busy then fault.misuse("another task waits for rows of this cursor") end
  if self.ended then return end
  self.busy = true
  if not self.name then open(self, timeout) end
  local rows = self.conn:query(timeout, self.max_result, ("FETCH %d FROM %s"):format(BATCH, self.name))
  self.busy = false
  if #rows == BATCH then return rows end
  finish(self)
  if self.own then self.conn:commit(timeout)
  else self.conn:exec(timeout, "CLOSE " .. self.name) end
  return #rows > 0 and rows or nil
end

-- What cannot be closed here ends with the transaction.
function Cursor:close()
  if self.ended then return end
  finish(self)
  if self.own or not self.name then return end
  local ok, err = pcall(self.conn.exec, self.conn, nil, "CLOSE " .. self.name)
  if not ok and type(err) == "string" then error(err, 0) end -- Ctrl-C is raised only once
end

function postgres.methods.cursor(conn, sql, ...)
  return setmetatable({ conn = conn, sql = sql, count = select("#", ...), ... }, Cursor)
end

-- ---- where the database is ----

local function split(list)
  local parts, from = {}, 1
  list = (list or "") .. ","
  while from <= #list do
    local comma = list:find(",", from, true)
    parts[#parts + 1] = list:sub(from, comma - 1)
    from = comma + 1
  end
  return parts
end

local function is_address(host) return host:find(":", 1, true) or host:find "^[%d.]+$" end

-- Adds a server to the lists, once for each of its addresses. A path is the folder of a socket, and none is where libpq looks for one.
local function add(lists, host, address, port, timeout)
  local addresses = { address }
  if address == "" and host ~= "" and not host:find "^[/@]" then
    addresses = is_address(host) and { host } or net.resolve(host, { timeout = timeout })
  end
  for _, each in ipairs(addresses) do
    table.insert(lists.host, host)
    table.insert(lists.hostaddr, each)
    table.insert(lists.port, port)
  end
end

-- Looks names up, so that libpq need not, and returns what to connect with. Waits.
local function resolve(parameters, timeout)
  local hosts, addresses, ports = split(parameters.host), split(parameters.hostaddr), split(parameters.port)
  local lists = { host = {}, hostaddr = {}, port = {} }
  local failure
  for i = 1, math.max(#hosts, #addresses) do
    local ok, err = pcall(add, lists, hosts[i] or "", addresses[i] or "", ports[i] or ports[1] or "", timeout)
    if not ok and not fault.is(err) then error(err, 0) end
    if not ok and (err.code == "ECANCELED" or err.code == "EDEADLINE") then error(err, 0) end
    failure = failure or not ok and err
  end
  if #lists.host == 0 then error(failure, 0) end -- else one of the others may answer
  local all = {}
  for name, value in pairs(parameters) do all[name] = value end
  for name, list in pairs(lists) do all[name] = table.concat(list, ",") end
  return all
end

local function encode(parameters)
  local parts = {}
  for name, value in pairs(parameters) do
    if value ~= "" then parts[#parts + 1] = name .. "\0" .. value .. "\0" end
  end
  return table.concat(parts)
end

-- The parameters of the URL, without which libpq's own and those of the environment count.
local function read(url, name)
  local parameters, why = postgres.parameters(url)
  if not parameters then
    local at, last = why:find(url, 1, true)
    if at then why = why:sub(1, at - 1) .. "..." .. why:sub(last + 1) end -- a password may be in it
    fault.raise("db.connect", "EINVAL", "not a URL of PostgreSQL: %s", why)
  end
  for _, port in ipairs(split(parameters.port)) do
    local n = math.tointeger(tonumber(port == "" and 1 or port))
    if not n or n < 1 or n > 65535 then fault.raise("db.connect", "EINVAL", "not a URL of PostgreSQL: '%s' is no port", port) end
  end
  parameters.client_encoding = "UTF8"
  parameters.fallback_application_name = name
  if not parameters.gssencmode or parameters.gssencmode == "prefer" then parameters.gssencmode = "disable" end -- it would block
  return parameters
end

local function shown(p)
  local host = p.host or p.hostaddr or ""
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("postgres://%s@%s:%s/%s"):format(p.user or "", host, p.port or "", p.dbname or p.user or "")
end

-- Returns the name of a database, and a function that makes a connection. `settings`: name = what to call it, unless the URL or the
-- environment do; timeout = seconds, init_sql and prepare as for green.db.
function M.dialler(url, settings)
  local parameters = read(url, settings.name or "greenlua")
  local timeout = tonumber(parameters.connect_timeout) or 0
  if timeout <= 0 then timeout = math.min(CONNECT, settings.timeout) end
  parameters.connect_timeout = nil
  return shown(parameters), function()
    return postgres.open(encode(resolve(parameters, timeout)), settings.init_sql, not settings.prepare, timeout)
  end
end

-- Sets the name and the pool of `db`. Opens nothing.
function M.connect(db, rest, settings)
  local connect
  db.name, connect = M.dialler("postgres:" .. rest, settings)
  db.single = false
  db.writer = Pool.new {
    op = "db", name = db.name, size = settings.size, wait = settings.wait, beyond = true, open = connect,
    min = settings.min, idle_time = settings.idle, max_age = settings.max_age, leak_after = settings.leak_after,
    fit = function(entry) return entry.conn:alive() end,
  }
  db.readers = db.writer
  db.listening = listening.new(db.name, connect)
end

-- ---- notifications ----

local LONGEST = 7999 -- bytes that a notification can have

-- In the transaction of the task, if it has one: then it is sent when that is committed.
function M.notify(db, channel, payload)
  listening.check_channel("db.notify", channel)
  if #payload > LONGEST then
    fault.raise("db.notify", "EMSGSIZE", "a notification has at most %d bytes, not %d: what is larger goes into a table, and its key is sent",
      LONGEST, #payload)
  end
  db:query("SELECT pg_notify($1, $2)", channel, payload)
end

function M.close(db) db.listening:close() end

return M
