-- SPDX-License-Identifier: MIT
-- Tasks: one running script each, with structure, deadlines, cancellation and ways to talk. The C half spawns, joins
-- and cancels (host/sys/task_lua.c); what is put together from that is here.
local native = require "green.task.native"
local channel = require "green.channel.native"
local fault = require "green.error"
local scope = require "green.scope.native"
local semaphore = require "green.semaphore"
local timer = require "green.timer.native"

local M = {
  channel = channel.new,
  cpu_limit = native.cpu_limit,
  now = timer.now,
  semaphore = semaphore.new,
  sleep = timer.sleep,
  spawn = native.spawn,
}

local FOREVER = math.huge
local insert, remove = table.insert, table.remove

-- ---- arguments: misuse is told to the caller of the function it names ----

local function check_function(value, where)
  if type(value) ~= "function" then fault.misuse("%s: a function expected, not %s", where, type(value)) end
end

local function check_seconds(value, where)
  if type(value) == "number" and value >= 0 then return end
  local what = type(value) == "number" and ("%g"):format(value) or type(value)
  fault.misuse("%s: a number of seconds >= 0 expected, not %s", where, what)
end

local function check_table(value, where)
  if type(value) ~= "table" then fault.misuse("%s: a table expected, not %s", where, type(value)) end
end

-- Loads green.options only when options are given.
local function check_options(where, opts, known)
  return opts == nil and {} or require "green.options".check(where, opts, known)
end

-- ---- time ----

--- fn's results, unless `seconds` pass: then the await it is in, and each later one, raises EDEADLINE.
function M.deadline(seconds, fn, ...)
  check_seconds(seconds, "task.deadline")
  check_function(fn, "task.deadline")
  local _ <close> = scope.enter(seconds)
  return fn(...)
end

--- Runs clean-up that must wait although the task was cancelled: nothing from outside reaches in, but it has only
--- `seconds` itself.
function M.shield(seconds, fn, ...)
  check_seconds(seconds, "task.shield")
  check_function(fn, "task.shield")
  local _ <close> = scope.enter(seconds, true)
  return fn(...)
end

--- fn's results, with no other task running meanwhile: nothing in it may wait.
function M.atomic(fn, ...)
  check_function(fn, "task.atomic")
  local _ <close> = scope.atomic()
  return fn(...)
end

--- fn() in `seconds`, as a task: its handle.
function M.after(seconds, fn, ...)
  check_seconds(seconds, "task.after")
  check_function(fn, "task.after")
  return native.spawn(function(...)
    timer.sleep(seconds)
    return fn(...)
  end, ...)
end

local EVERY = { on_error = { "stop", "continue" } }

-- Options come before fn's own arguments, one of which may be a table.
local function are_options(value)
  if type(value) ~= "table" or getmetatable(value) then return false end
  local name = next(value)
  return value.on_error ~= nil or type(name) == "string" and require "green.reference.native".near(name, "on_error") ~= nil
end

local function logged(err)
  if not fault.is(err, "ECANCELED") then native.log("task.every goes on after this error", err, debug.traceback(nil, 2)) end
end

--- fn() each `seconds`, as a task, until it is cancelled or fn raises; with { on_error = "continue" } an error is logged. The
--- next run is due `seconds` after the last one was; runs that would overlap are left out.
function M.every(seconds, fn, ...)
  if not (type(seconds) == "number" and seconds > 0) then fault.misuse("task.every: a number of seconds > 0 expected") end
  check_function(fn, "task.every")
  local given = are_options((...))
  local goes_on = given and check_options("task.every", (...), EVERY).on_error == "continue"
  local run = goes_on and function(...) xpcall(fn, logged, ...) end or fn
  local handle = native.spawn(function(...)
    local due = timer.now()
    while true do
      local now = timer.now()
      due = math.max(due + seconds, now)
      timer.sleep(due - now)
      run(...)
    end
  end, select(given and 2 or 1, ...))
  native.set_endless(handle)
  return handle
end

-- ---- context ----

--- Values that follow a task into its children: task.context.user = "ann".
M.context = setmetatable({}, {
  __index = function(_, key) return native.context()[key] end,
  __newindex = function(_, key, value) native.context()[key] = value end,
  __pairs = function() return pairs(native.context()) end,
})

-- ---- groups ----

local Group = { __name = "green.task.Group" }
Group.__index = Group

local is_group = fault.receiver(Group, "group")

-- Meanwhile others may be added, which is told to them, or move towards the front. Allocates nothing.
local function cancel(group)
  group.ending = true
  local children = group.children
  for i = #children, 1, -1 do
    local child = children[i]
    if child then child:cancel() end
  end
  if group.last then group.last:cancel() end
end

local function fail(group, err)
  if not group.failed and not group.ending then
    group.failed, group.failure = true, err
    cancel(group)
    group.scope:cancel() -- the body stops waiting, too
  end
end

function Group.__close(group, err)
  if err ~= nil then fail(group, err) end
end

-- A child. Allocates nothing before its failure is told, so that it is told also when memory runs out.
local function run(group, fn, ...)
  local _ <close> = group
  return fn(...)
end

-- The child has ended, and its failure is the group's; if it could not tell, it had not even the memory to begin.
local function forget(group, child)
  if child:wait() == "failed" then fail(group, "not enough memory") end
end

local MANY = 64 -- children after which a group looks which of them have ended, to forget them

-- A group may live as long as the program, and have had any number of children.
local function forget_ended(group)
  local children, kept = group.children, 0
  if #children < group.many then return end
  local _ <close> = scope.atomic()
  for i = 1, #children do
    local child = children[i]
    children[i] = nil
    local status = child:status()
    if status == "done" or status == "failed" or status == "cancelled" or status == "elsewhere" then
      forget(group, child)
    else
      kept = kept + 1
      children[kept] = child
    end
  end
  group.many = math.max(MANY, 2 * kept)
end

--- A child of the group: task.spawn(fn, ...), whose failure ends the group.
function Group:spawn(fn, ...)
  is_group(self, "spawn")
  check_function(fn, "group:spawn")
  if self.closed then fault.misuse("group:spawn: the group has ended") end
  forget_ended(self)
  local child = native.spawn(run, self, fn, ...)
  local ok, err = pcall(insert, self.children, child) -- in one piece, as children may spawn at the same time
  if not ok then -- no memory for a longer list: a child that the group does not know must not live on
    child:cancel()
    error(err, 0)
  end
  if self.ending or self.closed then child:cancel() end
  return child
end

--- Cancels every child; not a failure.
function Group:cancel()
  is_group(self, "cancel")
  cancel(self)
end

-- Takes them from the list in one piece, as those that are left may spawn more at the same time.
local function wait_for(group)
  repeat
    local last = group.last or remove(group.children)
    group.last = last
    if last then
      if group.ending then last:cancel() end -- the list was gone through while it was in nobody's hands
      forget(group, last)
      group.last = false
    end
  until not last
end

-- Runs on every way out of the group, and comes back when no child lives. Allocates nothing, since one way out is that
-- memory ran out.
local function finish(group, err)
  group.scope:shield() -- first: the error of a deadline, which comes where a loop repeats, must not cut this short
  if err ~= nil or not group.complete then cancel(group) end -- not complete: a coroutine that was closed
  wait_for(group)
  group.closed = true
  group.scope:leave()
  if group.failed and not rawequal(group.failure, err) then error(group.failure, 0) end
end

--- body(group)'s results, once every child of the group has ended. The first failure, of a child or the body, cancels
--- the others and is raised.
function M.group(body)
  check_function(body, "task.group")
  local group = setmetatable({
    children = {}, many = MANY, scope = scope.enter(),
    -- There from the beginning: a key that is new would need memory, in the midst of an end for want of it.
    closed = false, complete = false, ending = false, failed = false, failure = false, last = false,
  }, Group)
  local _ <close> = setmetatable({}, { __close = function(_, err) finish(group, err) end })
  local results = table.pack(body(group))
  wait_for(group)
  group.complete = true
  return table.unpack(results, 1, results.n)
end

-- ---- many at once ----

--- { fn(value, i), ... } for each value of the list, at most `opts.max` (64) at once, in the list's order.
function M.map(list, fn, opts)
  check_table(list, "task.map")
  check_function(fn, "task.map")
  local results, permits = {}, semaphore.new(check_options("task.map", opts, { max = "count" }).max or 64)
  M.group(function(group)
    for i = 1, #list do
      permits:acquire(FOREVER)
      if group.ending then return end -- the permit is of one that failed
      group:spawn(function()
        local _ <close> = permits
        results[i] = fn(list[i], i)
      end)
    end
  end)
  return results
end

--- Runs all functions at once: their first results under the same keys.
function M.all(functions)
  check_table(functions, "task.all")
  for key, fn in pairs(functions) do check_function(fn, ("task.all: %s"):format(tostring(key))) end
  local results = {}
  M.group(function(group)
    for key, fn in pairs(functions) do
      group:spawn(function() results[key] = fn() end)
    end
  end)
  return results
end

--- Runs all functions at once: the results of the first that ends. The others are cancelled. A failure counts as an end.
function M.race(functions)
  check_table(functions, "task.race")
  for i, fn in ipairs(functions) do check_function(fn, ("task.race: %d"):format(i)) end
  if #functions == 0 then fault.misuse("task.race: nobody runs") end
  local finish_line = channel.new(#functions)
  return M.group(function(group)
    for _, fn in ipairs(functions) do
      group:spawn(function() finish_line:send(table.pack(fn())) end)
    end
    local first = finish_line:receive()
    group:cancel()
    return table.unpack(first, 1, first.n)
  end)
end

-- ---- mutual exclusion ----

local Mutex = { __name = "green.task.Mutex" }
Mutex.__index = Mutex

local is_mutex = fault.receiver(Mutex, "mutex")

--- Waits for the lock. The result unlocks it when a <close> variable that holds it goes: local _ <close> = m:lock()
function Mutex:lock(timeout)
  is_mutex(self, "lock")
  if self.owner == native.current() then fault.misuse("mutex: the task has it locked already") end
  self.permit:acquire(timeout or FOREVER)
  self.owner = native.current()
  return self
end

function Mutex:unlock()
  is_mutex(self, "unlock")
  if self.owner ~= native.current() then fault.misuse("mutex: unlocked by a task that has not locked it") end
  self.owner = false
  self.permit:release()
end

Mutex.__close = Mutex.unlock

function M.mutex() return setmetatable({ permit = semaphore.new(1), owner = false }, Mutex) end

return M
