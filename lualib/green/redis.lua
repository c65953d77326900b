-- SPDX-License-Identifier: MIT
-- Redis: one connection that all tasks share, whose commands leave together when tasks send them in the same turn; connections that one
-- task has to itself, for what waits in the server; and one that listens. Whatever is lost is made anew when it is next needed.
local commands = require "green.redis.commands"
local dialling = require "green.redis.dial"
local fault = require "green.error"
local native = require "green.redis.native"
local options = require "green.options"
local pinned = require "green.redis.pinned"
local places = require "green.redis.place"
local semaphore = require "green.semaphore"
local subscriber = require "green.redis.subscriber"
local task = require "green.task"
local task_native = require "green.task.native"

-- A client. Fields that are absent are false, never nil: a name that is not there is a command.
local Client = { __name = "green.redis.Client" }
local methods = {}
local made = {} -- the methods of commands, by name

local check = fault.receiver(Client, "redis")

-- ---- the shared connection ----

local function refuse_closed(self) fault.raise("redis", "ECLOSED", "%s is closed", self.place.shown) end

-- One task connects, and the others wait for it.
local function connect(self)
  if self.closed then refuse_closed(self) end
  if self.process ~= task_native.process() then self.process, self.dialling, self.conn = task_native.process(), semaphore.new(1), false end
  local place = self.place
  local _ <close> = self.dialling:acquire(place.wait + place.connect_timeout)
  if self.conn and self.conn:alive(place.timeout) then return self.conn end
  self.conn = false
  local due, attempts = task.now() + place.wait, {}
  local conn, protocol
  repeat conn, protocol = dialling.try(place, attempts, due - task.now()) until conn or self.closed
  if self.closed then
    if conn then conn:close() end
    refuse_closed(self)
  end
  self.conn, self.protocol = conn, protocol
  self.connects = self.connects + 1
  return conn
end

-- The connection. Most calls find it as they left it.
local function shared(self)
  local conn = self.conn
  if conn and conn:alive(self.place.timeout) then return conn end
  return connect(self)
end

-- ---- calls ----

local function is_lost(conn, err) return not conn:alive(math.huge) and type(err) == "table" and err.code ~= "ECANCELED" and err.code ~= "EDEADLINE" end

-- What only reads is asked once more when the connection was lost before the answer came.
local function read(self, ...)
  local conn, timeout = shared(self), self.place.timeout
  local ok, answer = pcall(conn.call, conn, timeout, ...)
  if ok then return answer end
  if not is_lost(conn, answer) then error(answer, 0) end
  return shared(self):call(timeout, ...)
end

-- On a connection of its own: the answer may take `seconds`, 0 for ever.
local function wait(self, seconds, ...)
  local lease <close> = self.pinned:take()
  local answer = lease.conn:call(seconds == 0 and math.huge or seconds + self.place.timeout, ...)
  lease.clean = true
  return answer
end

local function call(self, name, ...)
  local instead = commands.refused[name]
  if instead then fault.misuse("redis: %s would change the connection that all tasks share: %s", name, instead) end
  local blocking = commands.blocking[name]
  local seconds = blocking and blocking(...)
  if seconds then return wait(self, seconds, name, ...) end
  if commands.reads[name] then return read(self, name, ...) end
  return shared(self):call(self.place.timeout, name, ...)
end

function methods:call(name, ...)
  check(self, "call")
  options.argument("redis:call", "name", name, "string")
  return call(self, name:upper(), ...)
end

-- ---- several commands at once ----

-- What fn gets: each method is a command, noted instead of sent. The methods are made when they are first used.
local Batch, notes = {}, {}

local is_batch = fault.receiver(Batch, "p")

local function note_method(method)
  local word, second = commands.words(method)
  if commands.refused[word] or commands.blocking[word] then fault.misuse("redis: %s is no command for a pipeline", word) end
  notes[method] = function(batch, ...)
    is_batch(batch, method)
    batch[#batch + 1] = second and native.encode(word, second, ...) or native.encode(word, ...)
  end
  return notes[method]
end

function Batch:__index(method) return notes[method] or note_method(method) end

local function batch_of(where, fn)
  options.argument(where, "fn", fn, "function")
  local batch = setmetatable({}, Batch)
  fn(batch)
  return batch
end

--- The answers, in order; errors are among them.
function methods:pipeline(fn)
  check(self, "pipeline")
  local batch = batch_of("redis:pipeline", fn)
  if #batch == 0 then return {} end
  return shared(self):batch(self.place.timeout, "pipeline", table.concat(batch), #batch)
end

local START, EXEC = native.encode "MULTI", native.encode "EXEC"

-- Sends a transaction. Returns the answers; nil when a watched key has changed. Raises why the server refused a command.
local function transact(conn, timeout, batch)
  local answers = conn:batch(timeout, "multi", START .. table.concat(batch) .. EXEC, #batch + 2)
  local last = answers[#answers]
  for i = 1, fault.is(last) and #answers or 1 do
    if fault.is(answers[i]) then error(answers[i], 0) end
  end
  return last or nil
end

--- All or nothing, with nobody's commands in between.
function methods:multi(fn)
  check(self, "multi")
  local batch = batch_of("redis:multi", fn)
  if #batch == 0 then return {} end
  return transact(shared(self), self.place.timeout, batch)
end

-- ---- a connection to oneself ----

local Pinned, sends = {}, {}

local is_pinned = fault.receiver(Pinned, "r")

local function send_method(method)
  local word, second = commands.words(method)
  if commands.never[word] then fault.misuse("redis: %s: %s", word, commands.refused[word] or "not here") end
  local blocking, changes = commands.blocking[word], commands.refused[word] or second -- CLIENT, CONFIG, ... may change the connection
  sends[method] = function(pin, ...)
    is_pinned(pin, method)
    local lease = pin[Pinned]
    if not lease.conn then fault.misuse "redis: the connection was given back when the function returned" end
    if changes then lease.changed = true end
    local seconds = blocking and blocking(...)
    local timeout = seconds == 0 and math.huge or lease.timeout + (seconds or 0)
    if second then return lease.conn:call(timeout, word, second, ...) end
    return lease.conn:call(timeout, word, ...)
  end
  return sends[method]
end

function Pinned:__index(method) return sends[method] or send_method(method) end

--- fn has a connection to itself, until it returns.
function methods:pin(fn, ...)
  check(self, "pin")
  options.argument("redis:pin", "fn", fn, "function")
  local lease <close> = self.pinned:take()
  lease.timeout = self.place.timeout
  local answers = table.pack(fn(setmetatable({ [Pinned] = lease }, Pinned), ...))
  lease.clean = not lease.changed
  lease:give() -- so that `fn` cannot use it later
  return table.unpack(answers, 1, answers.n)
end

local WATCH_TRIES = 100
local WATCH_PAUSE = 0.02 -- seconds at most, of random length: else those that try for one key stay in step, and the same ones lose

--- Optimistic locking: fn(r, tx) reads with r and notes commands in tx, which are done if none of the keys has changed meanwhile; else fn
--- is called again.
function methods:watch(keys, fn)
  check(self, "watch")
  options.argument("redis:watch", "keys", keys, "string|table")
  options.argument("redis:watch", "fn", fn, "function")
  if type(keys) == "string" then keys = { keys } end
  local lease <close> = self.pinned:take()
  local timeout = self.place.timeout
  lease.timeout = timeout
  for try = 1, WATCH_TRIES do
    lease.conn:call(timeout, "WATCH", table.unpack(keys))
    local batch = setmetatable({}, Batch)
    fn(setmetatable({ [Pinned] = lease }, Pinned), batch)
    local answers = transact(lease.conn, timeout, batch)
    if answers then
      lease.clean = not lease.changed
      return answers
    end
    task.sleep(math.random() * math.min(WATCH_PAUSE, 0.0005 * try))
  end
  fault.raise("redis.watch", "ECONFLICT", "%s changed each of %d times", table.concat(keys, ", "), WATCH_TRIES)
end

-- ---- scripts ----

local Script = {}

local function run(self, command, text, keys, ...)
  local all, n = table.pack(text, #keys, table.unpack(keys)), select("#", ...)
  table.move({ ... }, 1, n, all.n + 1, all)
  return self.client:call(command, table.unpack(all, 1, all.n + n))
end

-- A server that was restarted does not know the script any more: EVAL brings the text, and lets the server keep it.
function Script:__call(keys, ...)
  options.argument("redis script", "keys", keys, "table")
  self.sha = self.sha or self.client:call("SCRIPT", "LOAD", self.text)
  local ok, answer = pcall(run, self, "EVALSHA", self.sha, keys, ...)
  if ok then return answer end
  if not fault.is(answer, "NOSCRIPT") then error(answer, 0) end
  return run(self, "EVAL", self.text, keys, ...)
end

--- A function of the server: script(keys, ...) runs it there.
function methods:script(text)
  check(self, "script")
  options.argument("redis:script", "text", text, "string")
  return setmetatable({ client = self, text = text }, Script)
end

-- ---- messages ----

for method, command in pairs { subscribe = "SUBSCRIBE", psubscribe = "PSUBSCRIBE", ssubscribe = "SSUBSCRIBE" } do
  methods[method] = function(self, ...)
    check(self, method)
    if self.closed then refuse_closed(self) end
    self.subscriber = self.subscriber or subscriber.new(self.place)
    return self.subscriber:subscribe(command, ...)
  end
end

-- ---- the client ----

function methods:stats()
  check(self, "stats")
  local pool = self.pinned
  return {
    connects = self.connects, connected = self.conn and self.conn:alive(self.place.timeout), protocol = self.protocol,
    pinned = pool.size - pool.permits:available(), pinned_idle = #pool.idle,
    subscriptions = self.subscriber and self.subscriber.count or 0,
  }
end

function methods:close()
  check(self, "close")
  self.closed = true
  if self.conn then self.conn:close() end
  self.conn = false
  self.pinned:close()
  if self.subscriber then self.subscriber:close() end
end

Client.__close = methods.close
Client.__tostring = function(self) return self.place.shown end

-- redis:get(...), and every other command, are made when they are first used.
local function command_method(method)
  if made[method] then return made[method] end
  if type(method) ~= "string" or not method:find "^%l[%l%d_]*$" then return nil end
  local word, second = commands.words(method)
  made[method] = function(client, ...)
    check(client, method)
    if second then return call(client, word, second, ...) end
    return call(client, word, ...)
  end
  return made[method]
end

function Client:__index(method) return methods[method] or command_method(method) end

local M = {}

function M.connect(url, given)
  local place = places.read(url or os.getenv "REDIS_URL" or "redis://127.0.0.1", given)
  return setmetatable({
    place = place, connects = 0, dialling = semaphore.new(1), process = task_native.process(), conn = false, subscriber = false,
    closed = false, protocol = false, pinned = pinned(place, function() return (dialling.dial(place)) end),
  }, Client)
end

return M
