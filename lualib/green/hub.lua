-- SPDX-License-Identifier: MIT
-- The hub: from any task to the WebSockets and loops that listen to a topic, within one process. Publishing
-- never waits: a socket that does not keep up is closed, a loop that does not keep up loses the oldest.
local fault = require "green.error"
local semaphore = require "green.semaphore"
local timer = require "green.timer"

local hub = {}

local CLOSE_SLOW = 1013 -- "try again later"
local MAX_QUEUE = 1024 -- messages a subscription holds for its loop

-- Two registries, so that no topic a client may choose is somebody's address.
local topics, users = {}, {} -- name -> channel { registry, name, members = { [subscriber] = true } }
local memberships = setmetatable({}, { __mode = "k" }) -- subscriber -> { [channel] = true }

-- ---- who listens to what ----

-- Members are held weakly: a socket nobody serves any more, or a subscription nobody reads, listens to nothing.
local WEAK_KEYS, WEAK_VALUES = { __mode = "k" }, { __mode = "v" }

local function channel_of(registry, name)
  local channel = registry[name]
  if not channel then
    channel = { registry = registry, name = name, members = setmetatable({}, WEAK_KEYS) }
    registry[name] = channel
  end
  return channel
end

local function join(subscriber, channel)
  local mine = memberships[subscriber]
  if not mine then
    mine = {}
    memberships[subscriber] = mine
  end
  channel.members[subscriber], mine[channel], channel.list = true, true, nil
end

local function prune(channel)
  if next(channel.members) == nil and channel.registry[channel.name] == channel then channel.registry[channel.name] = nil end
end

local function leave(subscriber, channel)
  channel.members[subscriber], channel.list = nil, nil
  prune(channel)
end

-- The members as a list, made anew after each change and never changed itself: whoever walks over it is not
-- disturbed by those who come and go meanwhile.
local function list_of(channel)
  local list = channel.list
  if list then return list end
  list = setmetatable({ n = 0 }, WEAK_VALUES)
  for subscriber in pairs(channel.members) do
    list.n = list.n + 1
    list[list.n] = subscriber
  end
  channel.list = list
  return list
end

-- ---- checks ----

local function check_topic(topic, what)
  if type(topic) ~= "string" then fault.misuse("%s: a topic must be a string, not a %s", what, type(topic)) end
end

local function check_user(user, what)
  local kind = type(user)
  if kind ~= "string" and kind ~= "number" then fault.misuse("%s: a user must be a string or a number, not a %s", what, kind) end
  return tostring(user)
end

-- What one receiver would refuse is refused before anybody gets it.
local function check_message(message, what)
  if type(message) ~= "string" then fault.misuse("%s: a message must be a string, not a %s", what, type(message)) end
  if not utf8.len(message) then fault.raise(what, "EILSEQ", "a message must be valid UTF-8") end
end

-- ---- sockets ----

function hub.join(ws, topic)
  check_topic(topic, "ws:subscribe")
  join(ws, channel_of(topics, topic))
end

function hub.leave(ws, topic)
  check_topic(topic, "ws:unsubscribe")
  local channel, mine = topics[topic], memberships[ws]
  if not channel or not mine then return end
  mine[channel] = nil
  leave(ws, channel)
end

-- Forget a subscriber: everything it listens to.
function hub.drop(subscriber)
  local mine = memberships[subscriber]
  memberships[subscriber] = nil
  for channel in pairs(mine or {}) do leave(subscriber, channel) end
end

-- `ws` belongs to `user` from now on: hub.send(user, ...) reaches it, and all other sockets of that user.
function hub.attach(user, ws) join(ws, channel_of(users, check_user(user, "hub.attach"))) end

-- How many sockets and loops listen to a topic.
function hub.count(topic)
  check_topic(topic, "hub.count")
  local channel, n = topics[topic], 0
  if not channel then return 0 end
  for _ in pairs(channel.members) do n = n + 1 end
  if n == 0 then prune(channel) end
  return n
end

-- ---- sending ----

local function lose(subscriber, why)
  hub.drop(subscriber)
  if why == "slow" then subscriber:shut(CLOSE_SLOW, "too slow") end
end

local function deliver(channel, message)
  if not channel then return 0 end
  local list, sent = list_of(channel), 0
  for i = 1, list.n do
    local subscriber = list[i] -- nil once it was collected
    if subscriber then
      local ok, why = subscriber:try_send(message)
      if ok then sent = sent + 1 else lose(subscriber, why) end
    end
  end
  if sent == 0 then prune(channel) end
  return sent
end

-- Send to everybody who listens to the topic. Returns how many that were. Never waits.
function hub.publish(topic, message)
  check_topic(topic, "hub.publish")
  check_message(message, "hub.publish")
  return deliver(topics[topic], message)
end

-- Send to every socket of a user. Returns how many that were. Never waits.
function hub.send(user, message)
  local name = check_user(user, "hub.send")
  check_message(message, "hub.send")
  return deliver(users[name], message)
end

-- ---- loops ----

local Subscription = { __name = "green.hub.subscription" }
Subscription.__index = Subscription

-- `ready` has its one permit while there may be something to look at.
local function ring(subscription)
  if subscription.ready:available() == 0 then subscription.ready:release() end
end

function Subscription:try_send(message)
  if self.closed then return false, "closed" end
  if self.last - self.first + 1 >= MAX_QUEUE then
    self[self.first] = nil
    self.first = self.first + 1
    self.lost = self.lost + 1
  end
  self.last = self.last + 1
  self[self.last] = message
  ring(self)
  return true
end

local function wait(subscription, timeout)
  local ok, err = pcall(subscription.ready.acquire, subscription.ready, timeout)
  if ok then return end
  if fault.is(err, "ETIMEDOUT") then fault.raise("hub.receive", "ETIMEDOUT", "timed out") end
  error(err, 0)
end

-- The next message; nil once the subscription is closed. Waits; raises ETIMEDOUT after `timeout` seconds.
function Subscription:receive(timeout)
  local ends = timeout and timer.now() + timeout
  while self.first > self.last and not self.closed do
    wait(self, ends and math.max(ends - timer.now(), 0) or math.huge)
  end
  if self.closed then
    ring(self) -- for whoever else waits
    return nil
  end
  local message = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  return message
end

function Subscription:close()
  if self.closed then return end
  self.closed = true
  hub.drop(self)
  ring(self)
end

Subscription.__close = Subscription.close
Subscription.__call = function(self) return self:receive() end

-- for message in hub.subscribe(topic) do ... end; leaving the loop ends the subscription.
function hub.subscribe(topic)
  check_topic(topic, "hub.subscribe")
  local subscription = setmetatable({ first = 1, last = 0, lost = 0, ready = semaphore.new(1) }, Subscription)
  subscription.ready:try()
  join(subscription, channel_of(topics, topic))
  return subscription, nil, nil, subscription
end

return hub
