-- SPDX-License-Identifier: MIT
-- Internal.
-- The connection that listens, for all subscriptions of a client. Nobody reads it in the background: of the tasks that wait for a message
-- one leads, that is, it receives for all and hands out; when it has its own message it leaves that to another one that waits.
--
--      receive --a message waits--> returns it
--         |--nobody leads--> leads: (reconnects,) receives, hands out --one for itself--> stops leading, wakes another, returns it
--         '--else----------> waits to be woken: by a message, by the end of its subscription, or to lead
--
--  1. At most one task leads, and only it receives from the connection, and makes a new one.
--  2. Who stops leading, however that comes, wakes one of those that wait.
--  3. A name is subscribed to as long as `names` has a subscription of it; after a reconnect all of them are asked for again.
--  4. `asked` are the requests that the server has not confirmed yet, in order.
--  5. Whoever changes `names`, `asked`, `conn` or a queue is in an atomic section: another task may run between any two lines.
local dialling = require "green.redis.dial"
local fault = require "green.error"
local options = require "green.options"
local scope = require "green.scope.native"
local task = require "green.task"

local QUIET = 20 -- seconds without a byte, after which the server is asked whether it is there

local M = {}
M.__index = M

local Subscription = { __name = "green.redis.subscription" }
Subscription.__index = Subscription

local check = fault.receiver(Subscription, "subscription")

function M.new(place)
  return setmetatable({
    place = place, conn = false, leading = false, count = 0, asked = {}, quiet = false, attempts = {},
    names = { SUBSCRIBE = {}, PSUBSCRIBE = {}, SSUBSCRIBE = {} },
    waiting = {}, -- subscription -> number of tasks that wait to be woken
  }, M)
end

-- ---- messages ----

local function wake(subscription) subscription.bell:try_send(true) end

local function add(subscription, message)
  local last = subscription.last + 1
  subscription.queue[last], subscription.last = message, last
  if last - subscription.first >= subscription.max_messages then
    subscription.queue[subscription.first], subscription.first = nil, subscription.first + 1
    subscription.lost = subscription.lost + 1
  end
  wake(subscription)
end

local function take(subscription)
  local _ <close> = scope.atomic()
  local first = subscription.first
  if first > subscription.last then return nil end
  local message = subscription.queue[first]
  subscription.queue[first], subscription.first = nil, first + 1
  return message
end

local function each(self, command, name, fn, ...)
  for subscription in pairs(self.names[command][name] or {}) do fn(subscription, ...) end
end

-- The server has answered the oldest request, or a part of it.
local function confirm(self, err)
  local request = self.asked[1]
  if not request then return end
  request.left = err and 0 or request.left - 1
  if request.left > 0 then return end
  table.remove(self.asked, 1)
  local subscription = request.subscription
  if not subscription then return end
  subscription.confirmed, subscription.failure = true, err
  wake(subscription)
end

local KINDS = { message = "SUBSCRIBE", smessage = "SSUBSCRIBE" }

local function hand_out(self, push)
  local _ <close> = scope.atomic()
  if fault.is(push) then return confirm(self, push) end
  if type(push) ~= "table" then return end -- PONG
  local kind = push[1]
  if KINDS[kind] then each(self, KINDS[kind], push[2], add, { channel = push[2], payload = push[3] })
  elseif kind == "pmessage" then each(self, "PSUBSCRIBE", push[2], add, { pattern = push[2], channel = push[3], payload = push[4] })
  elseif kind == "subscribe" or kind == "psubscribe" or kind == "ssubscribe" then confirm(self) end
end

-- ---- the connection ----

local function ask(self, command, names, subscription)
  self.asked[#self.asked + 1] = { left = #names, subscription = subscription }
  self.conn:send(command, table.unpack(names))
end

local function ask_for_all(self)
  self.asked = {}
  for command, names in pairs(self.names) do
    local list, told = {}, {}
    for name, subscriptions in pairs(names) do
      list[#list + 1] = name
      for subscription in pairs(subscriptions) do told[subscription] = true end
    end
    if #list > 0 then ask(self, command, list) end
    for subscription in pairs(told) do
      if subscription.confirmed then subscription.reconnects = subscription.reconnects + 1 end
    end
  end
end

-- Only who has not been confirmed yet is asked again on its own account, so that it hears of a refusal.
local function ask_for_new(self)
  for command, names in pairs(self.names) do
    local done = {}
    for _, subscriptions in pairs(names) do
      for subscription in pairs(subscriptions) do
        if not subscription.confirmed and not done[subscription] then
          done[subscription] = true
          ask(self, command, subscription.topics, subscription)
        end
      end
    end
  end
end

-- A connection that is lost while it is asked is found out by whoever receives from it.
local function use(self, conn)
  local _ <close> = scope.atomic()
  if self.count == 0 then return conn:close() end -- the last subscription was closed meanwhile
  self.conn, self.quiet = conn, false
  conn:listen()
  ask_for_all(self)
  ask_for_new(self)
end

-- A while without a byte: once the server is asked, the second time it is taken for gone.
local function probe(self)
  if self.quiet then return self.conn:close() end
  self.quiet = true
  self.conn:send "PING"
end

-- Receives once, or tries once to connect: whoever leads looks in between whether that is still wanted.
local function step(self, due)
  local conn, left = self.conn, due and due - task.now() or math.huge
  if not (conn and conn:alive(math.huge)) then
    local made = dialling.try(self.place, self.attempts, left)
    if made then use(self, made) end
    return
  end
  local ok, push = pcall(conn.receive, conn, math.max(0, math.min(left, QUIET)))
  if ok then
    self.quiet = false
    return hand_out(self, push)
  end
  if self.conn ~= conn then return end -- the last subscription was closed meanwhile
  local code = fault.is(push) and push.code
  if code == "ETIMEDOUT" and left > QUIET then return probe(self) end
  if code == "ETIMEDOUT" or code == "ECANCELED" or code == "EDEADLINE" or not code or conn:alive(math.huge) then error(push, 0) end
end

-- ---- who waits ----

local function wake_another(self)
  local subscription = next(self.waiting)
  if subscription then wake(subscription) end
end

local Lead = {
  __close = function(lead)
    if not lead.leads then return end
    lead.subscriber.leading = false
    wake_another(lead.subscriber)
  end,
}

local function claim(self, lead)
  local _ <close> = scope.atomic()
  if self.leading then return false end
  self.leading, lead.leads = true, true
  return true
end

-- Receives for all until over() is true, unless another task does.
local function try_to_lead(self, due, over)
  local lead <close> = setmetatable({ subscriber = self, leads = false }, Lead)
  if not claim(self, lead) then return false end
  while not over() do step(self, due) end
  return true
end

local Waiting = {
  __close = function(w)
    local _ <close> = scope.atomic()
    local self = w.subscriber
    local left = self.waiting[w.subscription] - 1
    self.waiting[w.subscription] = left > 0 and left or nil
    if not self.leading then wake_another(self) end -- this task may have been woken to lead, and then been cancelled
  end,
}

local function follow(self, subscription, due)
  local section <close> = scope.atomic()
  if not self.leading then return end
  self.waiting[subscription] = (self.waiting[subscription] or 0) + 1
  local _ <close> = setmetatable({ subscriber = self, subscription = subscription }, Waiting)
  section:leave()
  local left = due and math.max(0, due - task.now())
  local ok, err = pcall(subscription.bell.receive, subscription.bell, left)
  if ok then return end
  if fault.is(err, "ETIMEDOUT") then fault.raise("redis.receive", "ETIMEDOUT", "no message within %g s", left) end
  error(err, 0)
end

-- Waits until over() is true.
local function await(self, subscription, due, over)
  while not over() and not try_to_lead(self, due, over) do follow(self, subscription, due) end
end

-- ---- subscriptions ----

local function remove(subscription)
  local _ <close> = scope.atomic()
  local self = subscription.subscriber
  local conn = self.conn and self.conn:alive(math.huge) and self.conn
  for _, name in ipairs(subscription.topics) do
    local all = self.names[subscription.command][name]
    if all then
      all[subscription] = nil
      if next(all) == nil then
        self.names[subscription.command][name] = nil
        if conn then pcall(conn.send, conn, subscription.command:gsub("SUBSCRIBE$", "UNSUBSCRIBE"), name) end
      end
    end
  end
  if subscription.listed then self.count = self.count - 1 end
  if self.count > 0 or not self.conn then return end
  self.conn:close()
  self.conn = false
end

--- Ends it, and wakes all who wait for its messages.
function Subscription:close()
  check(self, "close")
  if self.closed then return end
  self.closed, self.queue, self.first, self.last = true, {}, 1, 0
  self.bell:close()
  remove(self)
end

Subscription.__close = Subscription.close
Subscription.__gc = function(self) pcall(self.close, self) end -- which fails where no task runs: the connection is collected as well then

--- The next message; nil once the subscription is closed. Waits, for `timeout` seconds at most.
function Subscription:receive(timeout)
  check(self, "receive")
  if timeout ~= nil then options.argument("subscription:receive", "timeout", timeout, "seconds") end
  await(self.subscriber, self, timeout and task.now() + timeout, function() return self.first <= self.last or self.closed end)
  return take(self)
end

Subscription.__call = function(self) return self:receive() end

local SETTINGS = { max_messages = "count" }

-- (name, ..., [options]) -> list of names, options
local function arguments(command, ...)
  local names = table.pack(...)
  local given = type(names[names.n]) == "table" and table.remove(names, names.n) or nil
  local where = "redis:" .. command:lower()
  given = options.check(where, given, SETTINGS)
  if #names == 0 then fault.misuse("%s: the name of a channel expected", where) end
  for _, name in ipairs(names) do options.argument(where, "channel", name, "string") end
  names.n = nil
  return names, given
end

-- Also asks the server, if there is a connection; else who connects does.
local function add_names(self, subscription)
  local _ <close> = scope.atomic()
  local names = self.names[subscription.command]
  self.count, subscription.listed = self.count + 1, true
  for _, name in ipairs(subscription.topics) do
    names[name] = names[name] or setmetatable({}, { __mode = "k" }) -- one that nobody holds is collected, and closed by that
    names[name][subscription] = true
  end
  if self.conn and self.conn:alive(math.huge) then ask(self, subscription.command, subscription.topics, subscription) end
end

--- Subscribes, and waits until the server has confirmed it. What is received is the message. Raises what the server says, and what
--- connecting raises.
function M:subscribe(command, ...)
  local topics, given = arguments(command, ...)
  local subscription = setmetatable({
    subscriber = self, command = command, topics = topics, max_messages = given.max_messages or 1024, queue = {}, first = 1, last = 0,
    lost = 0, reconnects = 0, bell = task.channel(1), confirmed = false, listed = false, closed = false,
  }, Subscription)
  local ok, err = pcall(function()
    add_names(self, subscription)
    await(self, subscription, task.now() + self.place.wait + self.place.connect_timeout, function() return subscription.confirmed or subscription.closed end)
    if subscription.failure then error(subscription.failure, 0) end
    if subscription.closed then fault.raise("redis", "ECLOSED", "%s is closed", self.place.shown) end
  end)
  if not ok then
    subscription:close()
    error(err, 0)
  end
  return subscription, nil, nil, subscription
end

--- Ends all subscriptions.
function M:close()
  for _, names in pairs(self.names) do
    for _, subscriptions in pairs(names) do
      for subscription in pairs(subscriptions) do subscription:close() end
    end
  end
end

return M
