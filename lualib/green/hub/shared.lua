-- SPDX-License-Identifier: MIT
-- Internal.
-- The hub of several processes, which a broker connects. Each message goes to the broker, also when who listens is in this process, and to
-- the listeners when it comes back: a topic has one order for all. Nobody who sends waits: one task takes what the hub has for the broker
-- (host/web/outbox.h) and sends it, another one receives.
--
--      away --connect--> connected: the broker is told of all channels that have listeners, then of the messages that waited
--       ^                    '--the connection is lost: what was sent and is not confirmed counts as lost--> away
--       '--a pause, longer each time: messages wait in the outbox, the oldest are lost when there are too many
--
-- Both tasks are daemons: the program does not go on for their sake. When it ends they have FLUSH seconds to send what waits.
--
-- A broker is { name =, connect() -> link }. A link has the four calls that a hub needs, none of which waits, and one that does:
--
--      link:publish(channel, text [, token])   topics are channels "t:TOPIC", users "u:USER"; "published" is received for it
--      link:listen(channels), link:leave(channels)
--      link:receive()      "message", channel, text | "published", token or true, number of processes that got it
--                          | "refused", error, was it a message? | nothing
--      link.address        a channel of its own; link.unconfirmed: messages that are sent and not "published"; link:close()
--
-- hub.count asks in the channel "ask", to which all listen, and gets the answers in its address.
local fault = require "green.error"
local native = require("green.hub.native")
local scope = require "green.scope.native"
local task = require "green.task"
local task_native = require "green.task.native"
local timer = require "green.timer.native"

local shared = native.shared

local ANSWERS = 1                            -- seconds that other processes have to answer
local AWAY = 5                               -- seconds for which hub.count waits for the broker
local BATCH = 500                            -- channels of one request
local FLUSH = 5                              -- seconds for what waits when the program ends
local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1   -- seconds between two attempts to connect
local WINDOW = 1000                          -- messages on their way to the broker at the same time

local BROKERS = { redis = "redis", rediss = "redis", unix = "redis", postgres = "postgres", postgresql = "postgres" }

local function ends_task(err) return fault.is(err, "ECANCELED") or fault.is(err, "EDEADLINE") end

local function said(err) return fault.is(err) and err.message or tostring(err) end

-- ---- sending ----

-- Tells the link of the channels that were gathered.
local function flush(link, list)
  if #list > 0 then link[list.what](link, list) end
  for i = #list, 1, -1 do list[i] = nil end
end

-- Takes one thing that waits. `list` gathers channels. Returns false when there is nothing to send, or no way to.
local function tell_one(self, link, list)
  local _ <close> = scope.atomic() -- what is taken must go to the link that is there
  if self.link ~= link or link.unconfirmed >= WINDOW then return false end
  if #list == BATCH then flush(link, list) end
  local what, channel, text = shared.take()
  local ok, err = true, nil
  if what ~= list.what then ok, err = pcall(flush, link, list) end
  list.what = what
  if what == "send" then
    if ok then ok, err = pcall(link.publish, link, channel, text) end
    if not ok then self.lost = self.lost + 1 end -- it was taken
  elseif what then
    list[#list + 1] = channel
  end
  if not ok then error(err, 0) end
  return what ~= nil
end

local function tell(self)
  local link, list = self.link, { what = false }
  if not link then return end
  while tell_one(self, link, list) do end
  flush(link, list)
end

-- A link that could not be told something (it is lost, or there is no memory) does not know what it should: a new one is told all.
local function try_to_tell(self)
  local link = self.link
  local ok, err = pcall(tell, self)
  if ok then return end
  if ends_task(err) then error(err, 0) end
  if link then link:close() end -- the task that receives finds out
end

local function has_to_send(self) return shared.waiting() > 0 or self.link and self.link.unconfirmed > 0 end

local function send_on(self)
  while true do
    shared.wait()
    try_to_tell(self)
  end
end

local function send_rest(self)
  try_to_tell(self)
  while has_to_send(self) and not self.deaf do
    shared.wait()
    try_to_tell(self)
  end
end

local function is_end(err) return fault.is(err, "ECANCELED") end

local function sender(self)
  local _, err = pcall(send_on, self)
  local rest_ok = pcall(task.shield, FLUSH, send_rest, self)
  self.stopping = true
  local left = shared.waiting() + (self.link and self.link.unconfirmed or 0)
  if self.link then self.link:close() end
  if left > 0 or not rest_ok then
    task_native.log("hub", ("%s: the program ends, and %d messages are lost: %s"):format(self.broker.name, left, self.why or "it does not confirm them"))
  end
  if not is_end(err) then error(err, 0) end
end

-- ---- counting ----

local function is_answered(question) return question.expected and question.answers >= question.expected end

-- In an atomic section, with which the link does not change.
local function put(self, id, question)
  local link = self.link
  question.answers, question.sum, question.expected = 0, 0, false
  if link then pcall(link.publish, link, "ask", ("%d %s %s"):format(id, link.address, question.channel), question) end
end

local function answer(link, text)
  local id, address, channel = text:match "^(%d+) (r:%S+) (.*)$"
  if id then link:publish(address, ("%s %d"):format(id, shared.count(channel))) end
end

local function take_answer(self, text)
  local id, count = text:match "^(%d+) (%d+)$"
  local question = id and self.questions[math.tointeger(tonumber(id))]
  if not question then return end
  question.answers, question.sum = question.answers + 1, question.sum + (math.tointeger(tonumber(count)) or 0)
  if is_answered(question) then question.bell:try_send(true) end
end

local function take_expected(question, n)
  question.expected, question.since = n, timer.now()
  question.bell:try_send(true)
end

-- How many listen to the channel in all processes, and how many processes did not say so.
local function ask(self, op, channel)
  local question, due = { channel = channel, bell = task.channel(1) }, timer.now() + AWAY
  self.asked = self.asked + 1
  local id = self.asked
  local _ <close> = setmetatable({}, { __close = function() self.questions[id] = nil end })
  do
    local _ <close> = scope.atomic()
    self.questions[id] = question
    put(self, id, question)
  end
  while not is_answered(question) do
    local left = math.max(0, (question.expected and question.since + ANSWERS or due) - timer.now())
    local ok, err = pcall(question.bell.receive, question.bell, left)
    if not ok and not fault.is(err, "ETIMEDOUT") then error(err, 0) end
    if not ok and not question.expected then fault.raise(op, "ETIMEDOUT", "%s: %s", self.broker.name, self.why or "no answer") end
    if not ok then break end
  end
  return question.sum, math.max(0, question.expected - question.answers)
end

-- ---- receiving ----

local events = {}

function events.message(self, link, channel, text)
  if channel == "ask" then answer(link, text)
  elseif channel == link.address then take_answer(self, text)
  elseif not shared.deliver(channel, text) then self.refused = self.refused + 1 end
end

local function note_confirmed(link)
  if link.unconfirmed == 0 or link.unconfirmed == WINDOW // 2 then shared.ring() end
end

function events.published(_, link, token, processes)
  if type(token) == "table" then take_expected(token, processes) end
  note_confirmed(link)
end

function events.refused(self, link, err, message)
  if message then self.lost = self.lost + 1 end
  note_confirmed(link)
  if self.refusal == err.message then return end
  self.refusal = err.message
  task_native.log("hub: " .. self.broker.name .. " refuses", err)
end

local function receive_on(self, link)
  while true do
    local what, a, b = link:receive()
    if what then events[what](self, link, a, b) end
  end
end

local function come(self, link)
  do
    local _ <close> = scope.atomic() -- no question is put to this link twice
    link:listen { "ask", link.address }
    shared.forget()
    self.link, self.connects = link, self.connects + 1
    for id, question in pairs(self.questions) do put(self, id, question) end
  end
  if self.away then
    task_native.log("hub", ("%s is back after %.1f s; %d messages wait"):format(self.broker.name, timer.now() - self.away, (shared.waiting())))
  end
  self.away, self.why = false, false
  shared.ring()
end

local function go(self, link, err)
  link:close()
  self.link, self.lost = false, self.lost + link.unconfirmed
  self.why = said(err)
  if self.stopping then return end
  self.away = timer.now()
  task_native.log(("hub: %s is away, %d messages on the way may be lost, others wait"):format(self.broker.name, link.unconfirmed), err)
end

local function connect(self)
  local link = self.broker.connect()
  local ok, err = pcall(come, self, link)
  if ok then return end
  self.link = false
  link:close()
  error(err, 0)
end

local function try_to_connect(self, pause)
  local ok, err = pcall(connect, self)
  if ok then return FIRST_PAUSE end
  if ends_task(err) then error(err, 0) end
  if not self.away then task_native.log(("hub: %s is away, messages wait"):format(self.broker.name), err) end
  self.away, self.why = self.away or timer.now(), said(err)
  task.sleep(pause * (0.5 + math.random()))
  return math.min(2 * pause, LONGEST_PAUSE)
end

local function run(self)
  local pause = FIRST_PAUSE
  while not self.stopping do
    local link = self.link
    if not link then
      pause = try_to_connect(self, pause)
    else
      local _, err = pcall(receive_on, self, link)
      if ends_task(err) then error(err, 0) end
      go(self, link, err)
      if not self.stopping then task.sleep(FIRST_PAUSE * (0.5 + math.random())) end -- a broker that accepts and hangs up is asked no faster
    end
  end
end

local function receiver(self)
  local ok, err = pcall(run, self)
  if not ok and is_end(err) and has_to_send(self) then pcall(task.shield, FLUSH, run, self) end
  self.deaf = true
  shared.ring()
  if not ok and not is_end(err) then error(err, 0) end
end

-- ---- the module ----

local function refuse(format, ...) fault.raise("hub", "EINVAL", "GREENLUA_HUB: " .. format, ...) end

local function broker_of(url)
  local scheme = url:match "^(%a[%w+.-]*):"
  local kind = scheme and BROKERS[scheme:lower():match "^%a+"]
  if not kind then refuse("%s: redis://HOST[:PORT][/DATABASE] or postgres://HOST/DATABASE expected", (url:gsub("//[^/]*@", "//...@"))) end
  local ok, broker = pcall(require("green.hub." .. kind), url)
  if ok then return broker end
  refuse("%s", fault.is(broker) and broker.message or tostring(broker))
end

--- green.hub with the broker of this URL.
return function(url)
  local self = {
    broker = broker_of(url), link = false, asked = 0, questions = {}, connects = 0, lost = 0, refused = 0, stopping = false, deaf = false,
    away = false, why = false,
  }
  local M = {}
  for name, fn in pairs(native.alone) do M[name] = fn end
  M.publish, M.send = shared.publish, shared.send

  function M.count(topic)
    if type(topic) ~= "string" then fault.misuse("hub.count: a topic must be a string, not a %s", type(topic)) end
    return ask(self, "hub.count", "t:" .. topic)
  end

  function M.present(user)
    if type(user) ~= "string" and type(user) ~= "number" then
      fault.misuse("hub.present: a user must be a string or a number, not a %s", type(user))
    end
    return ask(self, "hub.present", "u:" .. user)
  end

  function M.stats()
    local waiting, dropped = shared.waiting()
    return {
      broker = self.broker.name, connected = self.link ~= false, connects = self.connects, lost = self.lost + dropped, refused = self.refused,
      unconfirmed = self.link and self.link.unconfirmed or 0, waiting = waiting,
    }
  end

  shared.open()
  task_native.spawn_daemon(sender, self)
  task_native.spawn_daemon(receiver, self)
  return M
end
