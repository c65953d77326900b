---@meta green.redis
-- SPDX-License-Identifier: MIT

---Redis (and Valkey): every command is a method.
---All tasks share one connection, and what they send in the same turn leaves together; a command that waits in the server gets a
---connection to itself. A connection that was lost is made anew by whoever needs it next, for `wait` seconds.
---Raises: the server's errors, whose `code` is their first word (WRONGTYPE, NOSCRIPT; ERR); ECONNRESET when the connection was lost after a
---command was sent, which may or may not have been done (what only reads is asked again by itself); ECONNREFUSED; ETIMEDOUT;
---ECLOSED once the client was closed.
---```lua
---local redis <close> = require "green.redis".connect(url)
---redis:set("pizza", "funghi", "EX", 60)
---print(redis:get "pizza", redis:ttl "pizza") --> funghi  60
---```
---@class green.redis
local redis = {}

---@class green.redis.options
---@field timeout? number         seconds a command may take, not counting what it asks the server to wait; 5
---@field connect_timeout? number seconds for the connection, TLS and the greeting; 5
---@field wait? number            seconds to try again while the server is away, and to wait for a connection of one's own; 5
---@field max_pinned? integer     connections that tasks have to themselves at the same time; 16
---@field max_reply? integer      bytes of one reply; 64 MiB
---@field name? string            what CLIENT LIST shows
---@field user? string            else the URL's
---@field password? string        else the URL's
---@field tls? boolean|green.net.client_tls with `rediss:` true; a table says more: ca, cert, key, server_name, verify

---A client. `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, `rediss://` for TLS, `unix:/PATH[?db=NUMBER]`,
---`redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],HOST.../MASTER[/DATABASE]`. Without a URL that of the environment, `REDIS_URL`, else
---`redis://127.0.0.1`.
---Does not wait: the first command connects, and raises what that raises: EPROTO when what is there is no Redis, ENOTFOUND when the
---sentinels know no such master.
---Raises: EINVAL for a URL that is none; the first command: EPROTO, ENOTFOUND, READONLY.
---```lua
---local redis <close> = require "green.redis".connect(url, { timeout = 1, name = "kitchen" })
---print(redis:client_getname()) --> kitchen
---```
---@param url? string
---@param options? green.redis.options
---@return green.redis.Client
function redis.connect(url, options) end

---A client. A method's name is that of the command in lower case; the first underscore is the blank of a command in two words
---(`client_info`). Arguments are strings and numbers.
---
---What comes back: strings, integers, numbers, booleans; a table by key for a map (`hgetall`), a list for an array or a set; nil for null, and
---`false` for null in a list, so that `#` counts it. A server before Redis 6 knows no maps, and answers with lists.
---```lua
---print(redis:hset("order", "item", "tea", "n", 2), redis:hgetall("order").item) --> 2  tea
---print(redis:get "nothing", redis:mget("nothing", "order:1")[1]) --> nil  false
---print(redis:client_id() > 0) --> true
---```
---@class green.redis.Client
---@field [string] fun(self: green.redis.Client, ...: string|number): any
local Client = {}

---Any command, by its name as a string.
---Waits for the reply.
---Raises: what the server answers.
---```lua
---print(redis:call("ECHO", "hello")) --> hello
---```
---@param name string
---@param ... string|number
---@return any
function Client:call(name, ...) end

---Sends what `fn` notes in one go: the commands are the methods of its argument. Others' commands may come in between.
---Waits for all replies.
---```lua
---local got = redis:pipeline(function(p)
---  p:incr "hits"
---  p:lpush("hits", 1)
---end)
---print(got[1], got[2].code) --> 1  WRONGTYPE
---```
---@param fn fun(p: green.redis.Client)
---@return any[] replies in order, error objects among them; false for null
function Client:pipeline(fn) end

---A transaction (MULTI, EXEC): the commands that `fn` notes are done with nobody else's in between, or not at all when the
---server refuses one of them. One that fails while it is done does not undo the others: its error object is among the replies.
---Waits for the replies.
---Raises: why the server refused a command.
---```lua
---print(redis:multi(function(tx) tx:incr "a" tx:incr "a" end)[2]) --> 2
---```
---@param fn fun(tx: green.redis.Client)
---@return any[] replies
function Client:multi(fn) end

---Optimistic locking (WATCH): `fn(r, tx)` reads through `r` and notes commands in `tx`, which are a transaction if none of the
---keys has changed meanwhile; otherwise `fn` is called again.
---Waits.
---Raises: ECONFLICT after 100 times; what `fn` raises.
---```lua
---redis:set("n", 20)
---redis:watch("n", function(r, tx) tx:set("n", 2 * r:get "n") end)
---print(redis:get "n") --> 40
---```
---@param keys string|string[]
---@param fn fun(r: green.redis.Client, tx: green.redis.Client)
---@return any[] replies of the transaction
function Client:watch(keys, fn) end

---`fn` has a connection to itself until it returns, for what changes one: SELECT, CLIENT TRACKING, a transaction by hand.
---Waits for a connection when all that `max_pinned` admits are in use.
---Raises: ETIMEDOUT after `wait` seconds; what `fn` raises.
---```lua
---print(redis:pin(function(r)
---  r:select(1)
---  return r:dbsize()
---end)) --> 0
---```
---@param fn fun(r: green.redis.Client, ...): any ...
---@param ... any its arguments
---@return any ... what `fn` returns
function Client:pin(fn, ...) end

---A script in the server's Lua, which runs there as a whole. It is loaded when it is first called.
---Does not wait; the call does.
---```lua
---local take = redis:script [[
---  local left = redis.call("DECRBY", KEYS[1], ARGV[1])
---  return left
---]]
---redis:set("stock", 5)
---print(take({ "stock" }, 2)) --> 3
---```
---@param text string
---@return fun(keys: string[], ...: string|number): any
function Client:script(text) end

---Messages of channels. The loop ends the subscription; held in a variable it is to be closed. After a lost connection it is made
---anew as often as it takes: what was published meanwhile is lost, and `reconnects` counts it.
---Waits until the server has confirmed it; the loop waits for each message.
---Raises: what the server answers; ECONNREFUSED and its kin after `wait` seconds.
---```lua
---local orders <close> = redis:subscribe("orders", "news")
---redis:publish("orders", "7")
---for message in orders do
---  print(message.channel, message.payload) --> orders  7
---  break
---end
---```
---@param channel string
---@param ... string|green.redis.subscribe_options further channels, and options
---@return green.redis.subscription
function Client:subscribe(channel, ...) end

---The same for all channels that a pattern matches; `message.pattern` says which one did.
---Waits as `subscribe` does.
---```lua
---local all <close> = redis:psubscribe "order.*"
---redis:publish("order.7", "ready")
---print(all:receive(1).channel) --> order.7
---```
---@param pattern string
---@param ... string|green.redis.subscribe_options
---@return green.redis.subscription
function Client:psubscribe(pattern, ...) end

---The same for sharded channels (SPUBLISH).
---Waits as `subscribe` does.
---```lua
---local shard <close> = redis:ssubscribe "shard"
---redis:spublish("shard", "hello")
---print(shard:receive(1).payload) --> hello
---```
---@param channel string
---@param ... string|green.redis.subscribe_options
---@return green.redis.subscription
function Client:ssubscribe(channel, ...) end

---@class green.redis.subscribe_options
---@field max_messages? integer messages that may wait to be received (1024); further ones push the oldest out

---Messages of channels.
---```lua
---local news <close> = redis:subscribe "news"
---redis:publish("news", "hello")
---print(news:receive(1).payload, news.lost) --> hello  0
---```
---@class green.redis.subscription
---@field lost integer messages that were dropped because too many waited
---@field reconnects integer how often the connection was lost and made anew
---@operator call: green.redis.message?
local Subscription = {}

---@class green.redis.message
---@field channel string
---@field payload string
---@field pattern? string

---The next message; nil once the subscription is closed. Several tasks may receive from one: each message goes to one of them.
---Waits.
---Raises: ETIMEDOUT.
---@param timeout? number seconds; without it as long as it takes
---@return green.redis.message?
function Subscription:receive(timeout) end

---Ends the subscription, and every loop over it.
---Does not wait.
---```lua
---local news = redis:subscribe "news"
---news:close()
---print(news:receive()) --> nil
---```
function Subscription:close() end

---@class green.redis.stats
---@field connected boolean is the shared connection there?
---@field connects integer how often the shared connection was made
---@field protocol integer|false 2 or 3 (RESP); false before the first command
---@field pinned integer connections that tasks have to themselves now
---@field pinned_idle integer such connections that wait for the next task
---@field subscriptions integer

---What there is at the moment.
---Does not wait.
---```lua
---redis:ping()
---print(redis:stats().connects, redis:stats().protocol) --> 1  3
---```
---@return green.redis.stats
function Client:stats() end

---Ends all connections: whoever waits for a reply gets ECLOSED, and subscriptions end.
---Does not wait.
---```lua
---redis:close()
---print(select(2, pcall(redis.ping, redis)).code) --> ECLOSED
---```
function Client:close() end

return redis
