-- SPDX-License-Identifier: MIT
-- Internal.
-- Redis as the broker of hubs (hub/shared.lua): a channel is one of Redis's, "green:hub:DATABASE:t:TOPIC", and a message its text, so that
-- others can publish, too. All goes through one connection, which RESP3 allows: whoever listens and then publishes gets his own message.
--
-- Redis answers in the order of the commands. `asked` are those it has not answered yet: what belongs to a message, or how many channels are
-- still to be confirmed.
local dialling = require "green.redis.dial"
local fault = require "green.error"
local places = require "green.redis.place"
local scope = require "green.scope.native"

local QUIET = 20 -- seconds without a byte, after which the server is asked whether it is there

local Link = {}
Link.__index = Link

-- Sends a command, of which `what` is expected. Nothing is expected of one that could not be sent.
local function send(self, what, ...)
  local _ <close> = scope.atomic() -- the order of `asked` is that of the commands
  self.asked[self.last + 1] = what
  self.conn:send(...)
  self.last = self.last + 1
end

local function answered(self)
  local what = self.asked[self.first]
  if what == nil then return nil end
  self.asked[self.first], self.first = nil, self.first + 1
  return what
end

function Link:publish(channel, text, token)
  send(self, { token = token or true }, "PUBLISH", self.prefix .. channel, text)
  self.unconfirmed = self.unconfirmed + 1
end

local function change(self, command, channels)
  local names = {}
  for i, channel in ipairs(channels) do names[i] = self.prefix .. channel end
  send(self, { left = #names }, command, table.unpack(names))
end

function Link:listen(channels) change(self, "SUBSCRIBE", channels) end
function Link:leave(channels) change(self, "UNSUBSCRIBE", channels) end

local function confirm(self)
  local request = self.asked[self.first]
  request.left = request.left - 1
  if request.left == 0 then answered(self) end
end

-- What a reply or a push means.
local function read(self, push)
  local _ <close> = scope.atomic()
  if math.type(push) == "integer" then
    self.unconfirmed = self.unconfirmed - 1
    return "published", answered(self).token, push
  end
  if fault.is(push) then
    local message = answered(self).token ~= nil
    if message then self.unconfirmed = self.unconfirmed - 1 end
    return "refused", push, message
  end
  if type(push) ~= "table" then return nil end -- PONG
  if push[1] == "message" then return "message", push[2]:sub(#self.prefix + 1), push[3] end
  if push[1] == "subscribe" or push[1] == "unsubscribe" then confirm(self) end
end

-- A while without a byte: the server is asked, and the second time it is taken for gone.
local function probe(self, err)
  if not fault.is(err, "ETIMEDOUT") or self.quiet or not self.conn:alive(math.huge) then error(err, 0) end
  self.quiet = true
  self.conn:send "PING"
end

function Link:receive()
  local ok, push = pcall(self.conn.receive, self.conn, QUIET)
  if not ok then return probe(self, push) end
  self.quiet = false
  return read(self, push)
end

function Link:close() self.conn:close() end

--- The broker of a URL. Raises EINVAL for one that is none.
return function(url)
  local place = places.read(url, { name = "greenlua-hub" })
  local prefix = ("green:hub:%d:"):format(place.db)
  local function connect()
    local conn, protocol = dialling.dial(place)
    local ok, id = pcall(conn.call, conn, place.timeout, "CLIENT", "ID")
    if not ok or protocol < 3 then conn:close() end
    if protocol < 3 then fault.raise("hub", "EPROTO", "%s: a hub needs Redis 6 or newer (RESP3)", place.shown) end
    if not ok then error(id, 0) end
    conn:listen()
    return setmetatable({
      conn = conn, prefix = prefix, address = ("r:%d-%x"):format(id, math.random(0)), asked = {}, first = 1, last = 0, unconfirmed = 0, quiet = false,
    }, Link)
  end
  return { name = place.shown, connect = connect }
end
