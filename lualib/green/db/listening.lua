-- SPDX-License-Identifier: MIT
-- Internal.
-- Who listens to notifications of PostgreSQL: all listeners of a database share a connection beside the pool, and one task, the keeper,
-- which alone uses it. Nobody who listens, closes a listener or notifies does anything to it: he leaves what he wants in `channels`, and
-- rings.
--
--      none --the first listener--> the keeper begins: away
--      away --connect, LISTEN to all--> connected: hears, hands out; LISTEN, UNLISTEN to what was changed meanwhile
--       ^  '--in vain: who listens newly hears why; a pause, longer each time--> away
--       '------the connection is lost-- connected
--      any --the last listener is closed--> the keeper ends: none
--
--  1. `listener.confirmed`: the server has said that it listens to its channels, so that it misses nothing but while the keeper is away.
--     When the server listens again each listener that was confirmed before gets { reconnected = true }, before all that comes then.
--  2. `told` are the channels that this connection may listen to: true, or "perhaps" while a LISTEN has not succeeded.
--  3. Whoever changes `channels`, `count` or a listener is in an atomic section: another task may run between any two lines.
--  4. The keeper is a daemon: the program does not go on for its sake.
local fault = require "green.error"
local native = require "green.task.native"
local options = require "green.options"
local scope = require "green.scope.native"
local task = require "green.task"

local QUIET = 20                             -- seconds without a notification, after which the server is asked whether it is there
local ANSWER = 5                             -- seconds that it has to answer, to that and to LISTEN
local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1   -- seconds between two attempts to connect
local LONGEST_NAME = 63                      -- bytes

local Listening = {}
Listening.__index = Listening

local Listener = { __name = "green.db.listener" }
Listener.__index = Listener

local check = fault.receiver(Listener, "listener")

-- connect: a function() -> connection of green.db.postgres.native.
function Listening.new(name, connect)
  return setmetatable({
    name = name, connect = connect, channels = {}, count = 0, conn = false, keeper = false, connects = 0, closed = false, process = native.process(),
  }, Listening)
end

-- ---- what listeners get ----

-- In an atomic section.
local function give(listener, item)
  local queue = listener.queue
  if listener.closed or queue:try_send(item) then return end
  queue:try_receive()
  listener.lost = listener.lost + 1
  queue:try_send(item)
end

local function hand_out(self, channel, payload)
  local _ <close> = scope.atomic()
  for listener in pairs(self.channels[channel] or {}) do
    if listener.confirmed then give(listener, { channel = channel, payload = payload }) end
  end
end

-- Calls fn for each listener once. In an atomic section.
local function each(self, fn)
  local seen = {}
  for _, listeners in pairs(self.channels) do
    for listener in pairs(listeners) do seen[listener] = true end
  end
  for listener in pairs(seen) do fn(listener) end
end

local function greet(listener)
  listener.reconnects = listener.reconnects + 1
  give(listener, { reconnected = true })
end

-- ---- the keeper ----

local function quoted(channel) return '"' .. channel:gsub('"', '""') .. '"' end

-- What the server is to be told now: SQL, and the channels that it is about. In an atomic section.
local function changes(self)
  local sql, wanted, unwanted = {}, {}, {}
  for channel in pairs(self.channels) do
    if self.told[channel] ~= true then
      self.told[channel] = "perhaps"
      sql[#sql + 1], wanted[#wanted + 1] = "LISTEN " .. quoted(channel), channel
    end
  end
  for channel in pairs(self.told) do
    if not self.channels[channel] then sql[#sql + 1], unwanted[#unwanted + 1] = "UNLISTEN " .. quoted(channel), channel end
  end
  return table.concat(sql, ";"), wanted, unwanted
end

local function is_confirmed(self, listener)
  for _, channel in ipairs(listener.topics) do
    if self.told[channel] ~= true then return false end
  end
  return true
end

local function confirm(self)
  each(self, function(listener)
    if listener.confirmed or not is_confirmed(self, listener) then return end
    listener.confirmed = true
    listener.bell:try_send(true)
  end)
end

-- Tells the server what has changed.
local function tell(self, conn)
  while true do
    local sql, wanted, unwanted
    do
      local _ <close> = scope.atomic()
      sql, wanted, unwanted = changes(self)
      confirm(self)
    end
    if sql == "" then return end
    conn:exec(ANSWER, sql)
    local _ <close> = scope.atomic()
    for _, channel in ipairs(wanted) do self.told[channel] = true end
    for _, channel in ipairs(unwanted) do self.told[channel] = nil end
  end
end

local function hear(self)
  local conn = self.conn
  tell(self, conn)
  local ok, channel, payload = pcall(conn.notification, conn, QUIET)
  if not ok then
    if not fault.is(channel, "ETIMEDOUT") then error(channel, 0) end
    conn:exec(ANSWER, "SELECT 1")
  elseif channel then
    hand_out(self, channel, payload)
  end
end

local function come(self)
  local conn = self.connect()
  conn:attend()
  self.conn, self.told = conn, {}
  local before = {}
  do
    local _ <close> = scope.atomic()
    each(self, function(listener) before[#before + 1] = listener.confirmed and listener or nil end)
  end
  tell(self, conn)
  local _ <close> = scope.atomic()
  for _, listener in ipairs(before) do greet(listener) end
  self.connects = self.connects + 1
end

local function go(self)
  local conn = self.conn
  self.conn = false
  if conn then conn:close() end
end

-- Those who have just begun to listen hear why that does not work.
local function refuse(self, err)
  local _ <close> = scope.atomic()
  each(self, function(listener)
    if listener.confirmed then return end
    listener.failure = err
    listener.bell:try_send(true)
  end)
end

local function ends_task(err) return fault.is(err, "ECANCELED") or fault.is(err, "EDEADLINE") end

local function step(self, pause)
  local was = self.conn
  local ok, err = pcall(was and hear or come, self)
  if ok then return FIRST_PAUSE end
  if ends_task(err) then error(err, 0) end
  go(self)
  refuse(self, err)
  if self.count == 0 then return pause end
  if was or self.said ~= tostring(err) then native.log("db:listen: " .. self.name .. " is away", err) end
  self.said = tostring(err)
  task.sleep(pause * (0.5 + math.random()))
  return math.min(2 * pause, LONGEST_PAUSE)
end

local function leave(self)
  self.keeper = false
  go(self)
end

-- Returns whether the keeper is to go on. If not, the next listener has a new one, with a connection of its own.
local function is_wanted(self)
  local _ <close> = scope.atomic()
  if self.count == 0 then leave(self) end
  return self.count > 0
end

local function keep(self)
  local pause = FIRST_PAUSE
  while is_wanted(self) do pause = step(self, pause) end
end

-- An error is that memory is out: what listeners wait for must not stay away for ever because of that.
local function run(self)
  local ok, err = pcall(keep, self)
  while not ok and not ends_task(err) do
    task.sleep(LONGEST_PAUSE)
    ok, err = pcall(keep, self)
  end
  if not ok then leave(self) end
end

-- Has the keeper look at what was changed.
local function ring(self)
  if self.conn then self.conn:ring() end
  if self.keeper or self.count == 0 then return end
  self.keeper = true
  if not pcall(native.spawn_daemon, run, self) then
    self.keeper = false
    fault.raise("db.listen", "ENOMEM", "not enough memory")
  end
end

-- ---- listeners ----

local function add(self, listener)
  local _ <close> = scope.atomic()
  self.count = self.count + 1
  listener.listed = true
  for _, channel in ipairs(listener.topics) do
    self.channels[channel] = self.channels[channel] or setmetatable({}, { __mode = "k" }) -- one that nobody holds is collected, and closed by that
    self.channels[channel][listener] = true
  end
  ring(self)
end

local function remove(listener)
  local _ <close> = scope.atomic()
  local self = listener.listening
  for _, channel in ipairs(listener.topics) do
    local all = self.channels[channel]
    if all then
      all[listener] = nil
      if next(all) == nil then self.channels[channel] = nil end
    end
  end
  if listener.listed then self.count = self.count - 1 end
  listener.listed = false
  if self.conn then self.conn:ring() end
end

--- Ends it, and every loop over it.
function Listener:close()
  check(self, "close")
  if self.closed then return end
  self.closed = true
  self.queue:close()
  while self.queue:try_receive() do end -- what came is not to be heard any more
  self.bell:close()
  remove(self)
end

Listener.__close = Listener.close
Listener.__gc = function(self) pcall(self.close, self) end

local function settle(why, seconds, ok, ...)
  if ok then return ... end
  if fault.is(..., "ETIMEDOUT") then fault.raise("db.listen", "ETIMEDOUT", "%s within %g s", why, seconds) end
  error(..., 0)
end

-- Receives from a channel.
local function wait(why, channel, seconds) return settle(why, seconds, pcall(channel.receive, channel, seconds)) end

--- The next notification; nil once the listener is closed. Waits, for `timeout` seconds at most.
function Listener:receive(timeout)
  check(self, "receive")
  if timeout ~= nil then options.argument("listener:receive", "timeout", timeout, "seconds") end
  return wait("no notification", self.queue, timeout)
end

Listener.__call = function(self) return self:receive() end

local SETTINGS = { max_messages = "count" }

local function check_channel(where, channel)
  options.argument((where:gsub("%.", ":")), "channel", channel, "string")
  if channel == "" or #channel > LONGEST_NAME or channel:find("\0", 1, true) or not utf8.len(channel) then
    fault.raise(where, "EINVAL", "the name of a channel is text of 1 to %d bytes", LONGEST_NAME)
  end
  return channel
end

-- Of db:listen: (channel, ... [, options]) -> list of channels, options.
local function check_listen(...)
  local topics = table.pack(...)
  local given = type(topics[topics.n]) == "table" and table.remove(topics, topics.n) or nil
  given = options.check("db:listen", given, SETTINGS)
  if #topics == 0 then fault.misuse "db:listen: the name of a channel expected" end
  for _, channel in ipairs(topics) do check_channel("db.listen", channel) end
  topics.n = nil
  return topics, given
end

local function refuse_closed(self) fault.raise("db.listen", "ECLOSED", "%s is closed", self.name) end

local function await(listener, seconds)
  wait("the server has not confirmed it", listener.bell, seconds)
  if listener.failure then error(listener.failure, 0) end
  if listener.closed then refuse_closed(listener.listening) end
end

-- In a child that a C module forked the connection, and the task that keeps it, are the parent's.
local function begin(self)
  self.channels, self.count, self.conn, self.keeper, self.process = {}, 0, false, false, native.process()
end

--- As db:listen, with what check_listen has returned; waits for at most `seconds`.
function Listening:listen(seconds, topics, given)
  if self.closed then refuse_closed(self) end
  if self.process ~= native.process() then begin(self) end
  local listener = setmetatable({
    listening = self, topics = topics, queue = task.channel(given.max_messages or 1024), bell = task.channel(1), lost = 0, reconnects = 0,
    confirmed = false, closed = false, listed = false, failure = false,
  }, Listener)
  local ok, err = pcall(function()
    add(self, listener)
    await(listener, seconds)
  end)
  if not ok then
    listener:close()
    error(err, 0)
  end
  return listener, nil, nil, listener
end

--- As a part of db:stats.
function Listening:stats() return { connected = self.conn ~= false, connects = self.connects, listeners = self.count } end

--- Ends all listeners.
function Listening:close()
  self.closed = true
  local all = {}
  do
    local _ <close> = scope.atomic()
    each(self, function(listener) all[#all + 1] = listener end)
  end
  for _, listener in ipairs(all) do listener:close() end
end

return { new = Listening.new, check_channel = check_channel, check_listen = check_listen }
