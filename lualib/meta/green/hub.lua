---@meta green.hub
-- SPDX-License-Identifier: MIT

---From any task to the WebSockets and loops that listen: in this process, or in all that name the same broker.
---Sending never waits. A message reaches all who listen before anything else happens: they see what is published in one order. A socket
---that does not keep up (more than `max_pending` bytes would wait, the message included) is closed with 1013; a loop that does not keep
---up loses the oldest. Who is closed, or not held by anybody, listens to nothing.
---
---`GREENLUA_HUB=redis://...` or `postgres://...` in the environment names a broker (Redis 6 or newer, PostgreSQL; URLs as for `green.redis` and
---`green.db`): the same calls then reach all processes that name the same one, apps and scripts, which share the database of the URL. Each message goes to the broker, and to those
---who listen when it comes back, so that a topic has one order for all; a process gets what it publishes after it has begun to listen.
---* At most once. While the broker is away messages wait, 10,000 or 16 MiB of them in each process, and leave when it is back; beyond that
---  the oldest are lost, as is what was on its way when the connection broke, and what others publish while a process is not connected.
---  `hub.stats` counts what this process knows of, and the log says when the broker goes and comes back.
---* A program that ends gives what waits 5 seconds to leave.
---* To Redis a topic is the channel `green:hub:DATABASE:t:TOPIC`, a user `green:hub:DATABASE:u:USER`, and a message its text: others may
---  publish there, too.
---* PostgreSQL sends every message to every process, which takes out what somebody there listens to, by NOTIFY on the channel `green_hub`; what is
---  larger than 8,000 bytes goes through the table `green_hub_messages`, which is made when it is needed (by whoever may). Not behind a
---  pooler that gives each transaction another session.
---
---Raises: EINVAL, by `require`, when `GREENLUA_HUB` is no URL of a broker.
---```lua
---app:ws("/live", function(socket, req)
---  hub.attach(req.user, socket)   -- hub.send("ann", ...) reaches all of ann's sockets
---  socket:subscribe "prices"      -- hub.publish("prices", ...) reaches everybody who listens
---  for message in socket:messages() do hub.publish("chat", message) end
---end)
---```
---@class green.hub
local hub = {}

---The socket belongs to the user from now on. Users and topics are two worlds: no topic reaches a user.
---Does not wait.
---```lua
---hub.attach("ann", socket)
---print(hub.send("ann", "hello")) --> 1
---```
---@param user string|number
---@param ws green.ws.socket
function hub.attach(user, ws) end

---Sends text to every socket of a user; a table as JSON.
---Does not wait.
---Raises: EILSEQ when it is not UTF-8; EJSON for what JSON cannot express.
---```lua
---if hub.send("bob", "your order is ready") == 0 then
---  print "bob is not here" --> bob is not here
---end
---```
---@param user string|number
---@param message string|table
---@return integer sent how many sockets there were; with a broker, in this process
function hub.send(user, message) end

---Sends text to everybody who listens to the topic; a table as JSON.
---Does not wait.
---Raises: EILSEQ when it is not UTF-8; EJSON for what JSON cannot express.
---```lua
---local prices <close> = hub.subscribe "prices"
---print(hub.publish("prices", "99"), prices:receive()) --> 1  99
---print(hub.publish("prices", { tea = 3 }), prices:receive()) --> 1  {"tea":3}
---```
---@param topic string
---@param message string|table
---@return integer sent how many sockets and loops there were; with a broker, in this process
function hub.publish(topic, message) end

---How many sockets and loops listen to a topic, in all processes.
---Does not wait; with a broker it asks all processes, and waits for their answers.
---Raises: ETIMEDOUT when the broker has been away for 5 seconds.
---```lua
---print(hub.count "prices") --> 0
---```
---@param topic string
---@return integer count
---@return integer? silent with a broker: how many processes have not answered within a second, and are not counted
function hub.count(topic) end

---How many sockets a user has, in all processes.
---Waits as `hub.count` does.
---Raises: ETIMEDOUT as `hub.count` does.
---```lua
---hub.attach("eve", socket)
---print(hub.present "eve", hub.present "bob") --> 1  0
---```
---@param user string|number
---@return integer count
---@return integer? silent as for `hub.count`
function hub.present(user) end

---@class green.hub.stats
---@field broker? string       its URL, without the password; nil without one
---@field connected boolean    to the broker, now
---@field connects integer     how often the broker was connected to
---@field waiting integer      messages that wait for the broker
---@field unconfirmed integer  messages that are on their way to it
---@field lost integer         messages that found no room, were on their way when the connection broke, or were refused by the broker
---@field refused integer      messages that came from it and were no UTF-8

---What there is to know of the broker.
---Does not wait.
---```lua
---print(hub.stats().connected, hub.stats().lost) --> false  0
---```
---@return green.hub.stats
function hub.stats() end

---Messages of a topic.
---```lua
---local prices = hub.subscribe "prices"
---hub.publish("prices", "99")
---print(prices:receive(1)) --> 99
---prices:close()
---print(prices:receive()) --> nil
---```
---@class green.hub.subscription
---@field lost integer messages that were dropped because more than `max_messages`, or `max_bytes`, waited
---@field waiting integer messages that wait to be received
---@operator call: string?
local Subscription = {}

---A subscription, to be looped over: it ends when the loop is left. Held in a variable it is to be closed: `local prices
---<close> = hub.subscribe "prices"`. Several tasks may receive from one: each message goes to one of them.
---Does not wait; the loop waits for each message.
---```lua
---task.after(0, hub.publish, "prices", "101")
---for price in hub.subscribe "prices" do
---  if tonumber(price) > 100 then break end
---end
---```
---@param topic string
---@param opts? green.hub.options
---@return green.hub.subscription
function hub.subscribe(topic, opts) end

---@class green.hub.options
---@field max_messages? integer messages that may wait (1024); further ones push the oldest out
---@field max_bytes? integer bytes of them (1 MiB); the newest message waits whatever its size

---The next message; nil once the subscription is closed. A limit of CPU (`task.cpu_limit`) begins anew with each.
---Waits.
---Raises: ETIMEDOUT.
---@param timeout? number seconds; without it as long as it takes
---@return string?
function Subscription:receive(timeout) end

---Ends the subscription, and every loop over it. Messages that wait are dropped.
---Does not wait.
function Subscription:close() end

---What `socket:subscribe(topic)` calls.
---Does not wait.
---```lua
---hub.join(socket, "prices")
---print(hub.count "prices") --> 1
---hub.leave(socket, "prices")
---print(hub.count "prices") --> 0
---```
---@param ws green.ws.socket
---@param topic string
function hub.join(ws, topic) end

---What `socket:unsubscribe(topic)` calls.
---Does not wait.
---```lua
---hub.leave(socket, "prices")
---```
---@param ws green.ws.socket
---@param topic string
function hub.leave(ws, topic) end

---What the end of a socket calls: it listens to nothing any more.
---Does not wait.
---```lua
---hub.join(socket, "prices")
---hub.drop(socket)
---print(hub.count "prices") --> 0
---```
---@param subscriber green.ws.socket|green.hub.subscription
function hub.drop(subscriber) end

return hub
