---@meta green.ws
-- SPDX-License-Identifier: MIT

---WebSockets, both sides. `app:ws` is the usual way in for a server: it accepts, and closes when the handler is left. `ws.connect` is a
---client's.
---Any number of tasks may send, one at a time may receive. Pings are answered by themselves, and sent.
---
---Messages are compressed (permessage-deflate, RFC 7692) for peers that offer it, as browsers do: those of 1 KiB to 512 KiB, if it makes
---them smaller. By default no message refers to those before it, so that compression costs a socket no memory, and what is published to a
---topic is compressed once for all. `max_message` bounds what a compressed message becomes.
---
---When the peer leaves (it closes, breaks the rules, is reset or not heard any more), what it sent before is received first: `receive`
---goes on, `send` goes on as long as the peer listens, and the peer's close is answered when there is nothing more to receive, or nobody
---came for it in 5 seconds. A handler that is told so by `receive` has as long to end as a request has to be answered
---(`request_timeout`). One that is not, since it only sends, is cancelled then, unless `cancel_on_disconnect = false`. Neither is an
---error in the log, nor is it that the handler could not send to a peer that is gone.
---```lua
---app:ws("/echo", function(socket, req)
---  for message in socket:messages() do socket:send(message) end
---end)
---```
---@class green.ws
local ws = {}

---@class green.ws.options
---@field compression? boolean|green.ws.compression whether messages may be compressed (true)
---@field max_message? integer bytes of one message received (1 MiB); beyond: closed with 1009
---@field max_pending? integer bytes `try_send`, and so the hub, may leave waiting for a slow peer, the message included (1 MiB)
---@field ping_interval? number seconds between pings (30)
---@field idle_timeout? number seconds without a byte from the peer, or without it taking ours, until the connection is dropped (120)
---@field origins? "*"|string|string[] whose pages may connect beside those of this host: "https://shop.example" (a port that the scheme
---implies may be left out)
---@field cancel_on_disconnect? boolean the handler's task is cancelled when its peer is gone (true; or what `req.cancel_on_disconnect` says)
---@field protocols? string[] subprotocols, most wanted first: the first that the client offers is chosen

---@class green.ws.compression
---@field threshold? integer bytes of the smallest message that is compressed (1024)
---@field context_takeover? boolean messages refer to those before them, which makes small ones that are alike much smaller, and each socket
---some 300 KB larger with windows of 15 bits, 20 KB with 9, by zlib's formulas (false)
---@field window_bits? integer 8 to 15: how far back a message refers, 2^bits bytes (15)

---Answers the request by becoming a WebSocket. Keep it in a `<close>` variable: on every way out it leaves its topics and
---says goodbye, with 1000, or 1011 after an error.
---Does not wait.
---Raises: a message for an option that is unknown or wrong; an error object with `status` 400, 403 or 426 (EPROTO) that is the answer
---when nobody catches it; ECLOSED when the request
---was answered already; EPIPE when the client is gone.
---```lua
---app:get("/live", function(req)
---  local socket <close> = ws.accept(req, { max_message = 4096 })
---  socket:send "welcome"
---end)
---print(app:inject("/live").status >= 400) --> true
---```
---@param req green.request
---@param opts? green.ws.options
---@return green.ws.socket
function ws.accept(req, opts) end

---@class green.ws.connect_options
---@field protocols? string[] subprotocols to offer, most wanted first; `socket.protocol` is the one that the server chose
---@field headers? table<string, string|string[]> further headers of the handshake: cookies, Origin, a Host in place of the URL's
---@field auth? table { user, password }, or { bearer = token }
---@field timeout? number seconds for all of it: name, connection, proxy, TLS, handshake (30)
---@field ca? string authorities to trust instead of the system's: path or PEM
---@field verify? boolean whether the server's certificate is checked (true)
---@field tls? table { cert =, key =, server_name = }, as of http.request
---@field proxy? string|boolean a URL, "http://user:password@host:port"; false: none (as the environment says, as of http.request)
---@field unix? string path of the server's unix socket, whatever host the URL has
---@field compression? boolean|green.ws.compression as of ws.accept
---@field max_message? integer as of ws.accept; so are max_pending, ping_interval and idle_timeout
---@field max_pending? integer
---@field ping_interval? number
---@field idle_timeout? number

---Connects to a server, of ws:// or wss://. The socket is what a server's is; keep it in a `<close>` variable. Redirects are not followed,
---since browsers follow none here.
---Waits.
---Raises: as net.connect; EPROTO when the server opens no WebSocket: `response` has `status` and `headers` of what it answered instead;
---EPROXY when the proxy refuses, in the same way; ETIMEDOUT; EINVAL for a URL that is none; a message for a wrong option.
---```lua
---local socket <close> = ws.connect(site .. "/echo") -- http:// is as good as ws://
---socket:send "hello"
---print(socket:receive(5)) --> hello  text
---```
---@param url string
---@param opts? green.ws.connect_options
---@return green.ws.socket
function ws.connect(url, opts) end

---@class green.ws.reconnect_options: green.ws.connect_options
---@field min_delay? number seconds before the second try, doubled for each further one; half of it is random (0.5)
---@field max_delay? number seconds between two tries, at most (30)
---@field attempts? integer tries in a row that may fail (any number)

---Connects, and again whenever the loop comes back, because the connection has ended or could not be made. Leave the loop to stop, which closes
---the socket.
---Waits in the loop.
---Raises: what ws.connect raises, when it will be the same the next time (a status below 500 but 408, 425 and 429; ETLS; EINVAL), or after
---`attempts` failures in a row.
---```lua
---for socket in ws.reconnect(site .. "/echo") do
---  socket:send "hello"
---  for message in socket:messages() do
---    print(message) --> hello
---    socket:close()
---  end
---  break
---end
---```
---@param url string
---@param opts? green.ws.reconnect_options
---@return fun(): green.ws.socket
function ws.reconnect(url, opts) end

---@private
---@param where string
---@param given? table
---@param more? table
---@return table
function ws.check_options(where, given, more) end

---@private
---@param req green.request
---@param checked table
---@return green.ws.socket
function ws.take(req, checked) end

---A WebSocket. It takes fields of your own: `socket.user = "ann"`.
---@class green.ws.socket
---@field open boolean messages can be sent
---@field protocol? string the subprotocol that was agreed on
---@field pending integer bytes that were sent and the peer has not taken
---@field close_code? integer once it is closed: the peer's code, 1005 if it gave none, 1006 if it went without a word
---@field close_reason? string once it is closed
local Socket = {}

---The next message; nil once the socket is closed and what came before was received: `close_code` tells how. A limit of CPU
---(`cpu_limit`) begins anew with each.
---Waits.
---Raises: ETIMEDOUT; EBUSY when another task is receiving.
---```lua
---print(socket:receive(5)) --> hello  text
---```
---@param timeout? number seconds (none; `idle_timeout` ends the wait for a dead peer)
---@return string? message
---@return "text"|"binary"|nil kind
function Socket:receive(timeout) end

---Message after message until the socket is closed.
---Waits in the loop.
---Raises: as `receive`, in the loop.
---```lua
---for message, kind in socket:messages() do
---  print(kind, #message) --> text  5
---  socket:shut()
---end
---```
---@return fun(): string?, "text"|"binary"|nil
function Socket:messages() end

---Sends text. To answer a peer that left meanwhile is no error as long as there is something of it to receive, or the message that was
---received last is being handled: that returns false when it could not be sent any more.
---Waits while the peer does not keep up, until it took everything.
---Raises: EPIPE when the socket is closed or the peer is gone; EILSEQ when it is not UTF-8.
---```lua
---socket:send "hello"
---```
---@param text string
---@return boolean sent
function Socket:send(text) end

---Sends bytes.
---Waits as `send`.
---Raises: EPIPE as `send`.
---```lua
---socket:send_binary "\xff\x00"
---```
---@param bytes string
---@return boolean sent
function Socket:send_binary(bytes) end

---Sends a value as JSON text.
---Waits as `send`.
---Raises: EJSON; as `send`.
---```lua
---socket:json { price = 99 }
---```
---@param value any
---@return boolean sent
function Socket:json(value) end

---Sends a message at once, or not at all.
---Does not wait.
---Raises: EILSEQ when it is text and not UTF-8.
---```lua
---local ok, why = socket:try_send "99"
---print(ok, why) --> true  nil
---```
---@param message string
---@param kind? "text"|"binary" ("text")
---@return boolean sent
---@return "closed"|"slow"|nil why "slow": more than `max_pending` bytes would wait
function Socket:try_send(message, kind) end

---Sends a ping. The peer's answer only shows in the connection staying alive.
---Does not wait.
---Raises: EPIPE as `send`.
---```lua
---socket:ping()
---```
---@param bytes? string 125 bytes at most
---@return boolean sent
function Socket:ping(bytes) end

---Closes. Messages that were under way can still be received. Harmless when it is closed. A peer that closed first gets its own code
---back, at once.
---Waits until the connection is closed: for the peer's answer, some 5 seconds at most once it took all output.
---Raises: an argument error for a code that may not be sent (1000, 1001, 1003, 1007 to 1009, 1011 to 1014 and 3000 to
---4999 may) and a reason that is not UTF-8 of 123 bytes at most.
---```lua
---socket:close(1001, "closing time")
---print(socket.open, socket.close_code) --> false  1000
---```
---@param code? integer (1000)
---@param reason? string
function Socket:close(code, reason) end

---As `close`, without seeing the end of it.
---Does not wait.
---Raises: as `close`.
---```lua
---socket:shut()
---```
---@param code? integer (1000)
---@param reason? string
function Socket:shut(code, reason) end

---Closes the connection at once, without a close frame and with what was not sent yet: for a peer that misbehaves.
---Does not wait.
---```lua
---socket:terminate()
---print(socket.open, socket.close_code) --> false  1006
---```
function Socket:terminate() end

---From now on what is published to the topic is sent to this socket.
---Does not wait.
---```lua
---socket:subscribe "prices"
---print(hub.publish("prices", "99")) --> 1
---```
---@param topic string
function Socket:subscribe(topic) end

---No longer, from now on.
---Does not wait.
---```lua
---socket:subscribe "news"
---socket:unsubscribe "news"
---print(hub.publish("news", "rain")) --> 0
---```
---@param topic string
function Socket:unsubscribe(topic) end

return ws
