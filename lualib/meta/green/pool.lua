---@meta green.pool
-- SPDX-License-Identifier: MIT

---Pools of connections that some library makes, LuaSocket or luasql say: a few, which any number of tasks use, each by one task at a
---time. Whoever waits for one is served first come, first served. The next user never gets a connection in a state that nobody knows:
---it is closed when its task was interrupted (cancelled, past a deadline, over a limit) while it had it, since an answer may still be
---on its way; when an error leaves `use` or the scope of a `<close>` lease, unless `reset` puts it right; and when its lease is
---abandoned, or given back by another task.
---Does not wait.
---Raises: a message for unknown or mistyped options.
---```lua
---local listener <close> = net.listen "127.0.0.1:0"
---local server = task.spawn(function()
---  local peer = listener:accept()
---  for line in function() return peer:read() end do peer:write(line:upper()) end
---end)
---local pool = require "green.pool"(function() return net.connect(listener:address()) end, {
---  max = 2, check = function(conn) return conn:peer() end,
---})
---local function ask(conn, line)
---  conn:write(line)
---  return conn:read()
---end
---print(pool:use(ask, "one"), pool:use(ask, "two"), pool:stats().opened) --> ONE  TWO  1
---pool:close()
---server:join()
---```
---@class green.pool

---@class green.pool.options
---@field name? string for messages ("the pool")
---@field max? integer connections at once (10)
---@field min? integer connections that stay open, for however long nobody uses them, once the first was taken (0)
---@field max_idle? integer connections that are kept while nobody uses them (as many as `max`)
---@field wait? number seconds that a task waits for a connection when all are in use (5)
---@field leak_after? number seconds for which a task may keep a connection before it is logged: which task, where it took it, where it stands (never)
---@field idle? number seconds after which a connection that nobody used is closed (300); math.huge: never
---@field max_age? number seconds after which a connection is not lent any more, up to a tenth less for some (math.huge)
---@field check? fun(conn: any): any may a connection that was idle be lent again? Raising, or taking longer than 5 s, means no
---@field check_after? number seconds for which a connection may be idle without being checked (0.5)
---@field reset? fun(conn: any): any puts a connection right that comes back (a rollback), and says whether it may be lent again; it has 5 s of its own
---@field close? fun(conn: any) closes a connection, in 5 s of its own (its method `close`, if it has one)

---@class green.pool.stats
---@field max integer connections at once
---@field min integer connections that stay open
---@field open integer connections there are
---@field idle integer of these, those that nobody uses
---@field lent integer of these, those in use, or on their way back
---@field waiting integer tasks that wait for one now
---@field opened integer connections made so far
---@field closed integer connections closed so far
---@field broken integer of these, those in a state that nobody knew, or that `check` found unfit
---@field expired integer of these, those that were idle for too long, or too old
---@field waits integer takes that had to wait
---@field longest_wait number seconds the longest of these waited
---@field wait_time number seconds they waited, all together
---@field timeouts integer takes that waited in vain

---A pool. A `<close>` variable that holds one closes it, without waiting for connections in use.
---@class green.Pool
local Pool = {}

---Calls fn(conn, ...) with a connection, and returns its results.
---Waits when all are in use, and as `fn` does.
---Raises: as `take`; what fn raises, and then the connection is closed, or reset.
---```lua
---local conns = require "green.pool"(function() return { n = 0 } end, { max = 1 })
---local function count(conn, by)
---  conn.n = conn.n + by
---  return conn.n
---end
---print(conns:use(count, 2), conns:use(count, 3)) --> 2  5
---print(green.try(conns.use, conns, function() error("oops", 0) end)) --> nil  oops
---```
---@param fn fun(conn: any, ...: any): any
---@param ... any further arguments
---@return any ...
function Pool:use(fn, ...) end

---Takes a connection, `lease.conn`.
---Waits when all are in use, and while one is made or checked.
---Raises: ETIMEDOUT when none came free in time, which names the tasks that have them and where they stand; ECLOSED; ENOTCONN when `make` returned nothing, and what it raises; EDEADLK when
---the task has all of them itself.
---```lua
---local conns = require "green.pool"(function() return {} end)
---do
---  local lease <close> = conns:take()
---  lease.conn.used = true
---end
---print(conns:stats().idle) --> 1
---```
---@param timeout? number seconds; as the pool's `wait`
---@return green.Lease
function Pool:take(timeout) end

---What there is, and what there was.
---Does not wait.
---```lua
---local conns = require "green.pool"(function() return {} end)
---local lease = conns:take()
---print(conns:stats().lent, conns:stats().idle, conns:stats().opened) --> 1  0  1
---lease:give()
---```
---@return green.pool.stats
function Pool:stats() end

---Closes the pool: whoever waits for a connection and whoever comes gets ECLOSED, idle connections are closed, and those in use as
---they come back.
---Waits until all are back.
---Raises: ETIMEDOUT when some are in use still; EDEADLK when the task itself has one. The pool is closed all the same.
---```lua
---local conns = require "green.pool"(function() return {} end)
---conns:close()
---print(green.try(conns.take, conns)) --> nil  pool: the pool is closed
---```
---@param timeout? number seconds (10)
function Pool:close(timeout) end

---A connection on loan to a task. A `<close>` variable that holds a lease gives it back, as a broken one if an error leaves the scope
---and the pool has no `reset`.
---@class green.Lease
---@field conn any the connection; nil once it was given back
local Lease = {}

---Gives the connection back; harmless when it was.
---Waits for `reset`, if the pool has one.
---```lua
---local conns = require "green.pool"(function() return {} end)
---local lease = conns:take()
---lease:give()
---print(lease.conn) --> nil
---```
function Lease:give() end

---Gives the connection back as a broken one: it is closed.
---Does not wait.
---```lua
---local conns = require "green.pool"(function() return {} end)
---local lease = conns:take()
---lease:discard()
---print(conns:stats().broken, conns:stats().idle) --> 1  0
---```
function Lease:discard() end

---A pool of the connections that `make` makes when there is need of one. As functions of Lua's kind do, it may return nil and a message.
---@param make fun(): any
---@param options? green.pool.options
---@return green.Pool
return function(make, options) end
