-- SPDX-License-Identifier: MIT
-- The hub: from any task to the WebSockets and loops that listen to a topic, within one process. Publishing
-- never waits: a socket that does not keep up is closed, a loop that does not keep up loses the oldest.
local semaphore = require "green.semaphore"

local hub = {}

local CLOSE_SLOW = 1013 -- "try again later"
local MAX_QUEUE = 1024 -- messages a subscription holds for its loop

local topics = {} -- topic -> { [subscriber] = true }
local memberships = setmetatable({}, { __mode = "k" }) -- subscriber -> { [topic] = true }

local function check_topic(topic, what)
  if type(topic) ~= "string" then error(("%s: a topic must be a string, not a %s"):format(what, type(topic)), 3) end
end

local function join(subscriber, topic)
  local members, mine = topics[topic], memberships[subscriber]
  if not members then
    members = {}
    topics[topic] = members
  end
  if not mine then
    mine = {}
    memberships[subscriber] = mine
  end
  members[subscriber], mine[topic] = true, true
end

local function leave(subscriber, topic)
  local members, mine = topics[topic], memberships[subscriber]
  if mine then mine[topic] = nil end
  if not members then return end
  members[subscriber] = nil
  if next(members) == nil then topics[topic] = nil end
end

--- Forget a subscriber: every topic it listens to.
function hub.drop(subscriber)
  local mine = memberships[subscriber]
  if not mine then return end
  for topic in pairs(mine) do leave(subscriber, topic) end
  memberships[subscriber] = nil
end

function hub.join(ws, topic)
  check_topic(topic, "ws:subscribe")
  join(ws, topic)
end

function hub.leave(ws, topic)
  check_topic(topic, "ws:unsubscribe")
  leave(ws, topic)
end

-- A topic name no user can choose.
local function user_topic(user)
  local kind = type(user)
  if kind ~= "string" and kind ~= "number" then
    error(("hub: a user must be a string or a number, not a %s"):format(kind), 3)
  end
  return "\0user:" .. tostring(user)
end

--- `ws` belongs to `user` from now on: hub.send(user, ...) reaches it, and all other sockets of that user.
function hub.attach(user, ws) join(ws, user_topic(user)) end

--- How many sockets and loops listen to a topic.
function hub.count(topic)
  check_topic(topic, "hub.count")
  local n = 0
  for _ in pairs(topics[topic] or {}) do n = n + 1 end
  return n
end

-- Deliveries must not change the list they walk over: the lost are dropped afterwards.
local function deliver(topic, message)
  local members = topics[topic]
  if not members then return 0 end
  local sent, lost = 0, nil
  for subscriber in pairs(members) do
    local ok, why = subscriber:try_send(message)
    if ok then
      sent = sent + 1
    else
      lost = lost or {}
      lost[subscriber] = why
    end
  end
  for subscriber, why in pairs(lost or {}) do
    hub.drop(subscriber)
    if why == "slow" then subscriber:shut(CLOSE_SLOW, "too slow") end
  end
  return sent
end

local function check_message(message, what)
  if type(message) ~= "string" then error(("%s: a message must be a string, not a %s"):format(what, type(message)), 3) end
end

--- Send to everybody who listens to the topic. Returns how many that were. Never waits.
function hub.publish(topic, message)
  check_topic(topic, "hub.publish")
  check_message(message, "hub.publish")
  return deliver(topic, message)
end

--- Send to every socket of a user. Returns how many that were. Never waits.
function hub.send(user, message)
  check_message(message, "hub.send")
  return deliver(user_topic(user), message)
end

local Subscription = {}
Subscription.__index = Subscription

function Subscription:try_send(message)
  if self.closed then return false, "closed" end
  if self.last - self.first + 1 >= MAX_QUEUE then
    self[self.first] = nil
    self.first = self.first + 1
    self.lost = self.lost + 1
  else
    self.ready:release()
  end
  self.last = self.last + 1
  self[self.last] = message
  return true
end

--- The next message; nil once the subscription is closed. Waits.
function Subscription:receive(timeout)
  self.ready:acquire(timeout)
  if self.closed then
    self.ready:release() -- for whoever else waits
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
  self.ready:release()
end

Subscription.__close = Subscription.close
Subscription.__call = function(self) return self:receive() end

--- for message in hub.subscribe(topic) do ... end; leaving the loop ends the subscription.
function hub.subscribe(topic)
  check_topic(topic, "hub.subscribe")
  local subscription = setmetatable({ first = 1, last = 0, lost = 0, ready = semaphore.new(0) }, Subscription)
  join(subscription, topic)
  return subscription, nil, nil, subscription
end

return hub
