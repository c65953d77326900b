-- SPDX-License-Identifier: MIT
---@meta green.hub

---From any task to the WebSockets and loops that listen, within one process.
---
---```lua
---app:ws("/live", function(ws, req)
---  hub.attach(req.user, ws)       -- hub.send("ann", ...) reaches all of ann's sockets
---  ws:subscribe "prices"          -- hub.publish("prices", ...) reaches everybody who listens
---  for message in ws:messages() do hub.publish("chat", message) end
---end)
---```
---
---Sending never waits. A socket that does not keep up (`max_pending`) is closed with 1013; a loop that does not keep up loses the
---oldest. Who is closed, or not held by anybody, listens to nothing.
local hub = {}

---The socket belongs to the user from now on. Users and topics are two worlds: no topic reaches a user.
---@param user string|number
---@param ws green.ws.socket
function hub.attach(user, ws) end

---Sends text to every socket of a user. Does not wait.
---
---```lua
---if hub.send("ann", "your order is ready") == 0 then send_mail("ann") end
---```
---
---Raises: EILSEQ when it is not UTF-8.
---@param user string|number
---@param message string
---@return integer sent how many sockets there were
function hub.send(user, message) end

---Sends text to everybody who listens to the topic. Does not wait.
---
---Raises: EILSEQ when it is not UTF-8.
---@param topic string
---@param message string
---@return integer sent how many sockets and loops there were
function hub.publish(topic, message) end

---How many sockets and loops listen to a topic.
---@param topic string
---@return integer
function hub.count(topic) end

---@class green.hub.subscription
---@field lost integer messages that were dropped because more than 1,024 waited
---@operator call: string?
local Subscription = {}

---A subscription, to be looped over: it ends when the loop is left. The loop waits for each message.
---
---```lua
---for price in hub.subscribe "prices" do
---  if tonumber(price) > 100 then break end
---end
---```
---
---Held in a variable it is to be closed: `local prices <close> = hub.subscribe "prices"`. Several tasks may receive from one: each
---message goes to one of them.
---@param topic string
---@return green.hub.subscription
function hub.subscribe(topic) end

---The next message; nil once the subscription is closed. Waits.
---
---Raises: ETIMEDOUT; ECANCELED.
---@param timeout? number seconds (none)
---@return string?
function Subscription:receive(timeout) end

---Ends the subscription, and every loop over it. Messages that wait are dropped.
function Subscription:close() end

---What `ws:subscribe(topic)`, `ws:unsubscribe(topic)` and the end of a socket call.
---@param ws green.ws.socket
---@param topic string
function hub.join(ws, topic) end

---@param ws green.ws.socket
---@param topic string
function hub.leave(ws, topic) end

---@param subscriber green.ws.socket|green.hub.subscription
function hub.drop(subscriber) end

return hub
