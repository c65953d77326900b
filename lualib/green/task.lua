-- SPDX-License-Identifier: MIT
-- A task runs one script. The C half spawns, joins and cancels tasks (host/sys/task_lua.c); this half builds deadlines, timers, groups,
-- parallel maps and locks from that.
local native = require "green.task.native"
local channel = require "green.channel.native"
local fault = require "green.error"
local scope = require "green.scope.native"
local semaphore = require "green.semaphore"
local timer = require "green.timer.native"

local M = {
  channel = channel.new,
  cpu_limit = native.cpu_limit,
  max_tasks = native.max_tasks,
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

-- Checks options. green.options is loaded only when some are given, to keep the start short.
local function check_options(where, opts, known)
  return opts == nil and {} or require "green.options".check(where, opts, known)
end

-- ---- time ----

--- Returns fn's results. Once `seconds` have passed, the await that fn is in, and each later one, raises EDEADLINE.
function M.deadline(seconds, fn, ...)
  check_seconds(seconds, "task.deadline")
  check_function(fn, "task.deadline")
  local _ <close> = scope.enter(seconds)
  return fn(...)
end

--- Runs clean-up that must wait although the task was cancelled. No cancel or deadline from outside reaches fn, which has `seconds` of
--- its own instead.
function M.shield(seconds, fn, ...)
  check_seconds(seconds, "task.shield")
  check_function(fn, "task.shield")
  local _ <close> = scope.enter(seconds, true)
  return fn(...)
end

--- Returns fn's results. No other task runs meanwhile, so that fn may not wait.
function M.atomic(fn, ...)
  check_function(fn, "task.atomic")
  local _ <close> = scope.atomic()
  return fn(...)
end

--- Returns fn's results: those of a call with the same key that runs already, if there is one.
function M.single(key, fn, ...)
  if key == nil or key ~= key then fault.misuse("task.single: a key expected, not %s", tostring(key)) end
  check_function(fn, "task.single")
  return require "green.single"(key, fn, ...)
end

--- Returns fn's results. It runs, as all that it spawns, when nothing else wants to.
function M.background(fn, ...)
  check_function(fn, "task.background")
  local _ <close> = scope.background()
  timer.sleep(0)
  return fn(...)
end

--- Starts a task that calls fn(...) after `seconds`, and returns its handle.
function M.after(seconds, fn, ...)
  check_seconds(seconds, "task.after")
  check_function(fn, "task.after")
  return native.spawn(function(...)
    timer.sleep(seconds)
    return fn(...)
  end, ...)
end

local EVERY = { on_error = { "stop", "continue" } }

-- Tells whether the argument behind fn holds options. fn's own arguments follow there and may be tables, so that only a table with the
-- option's name, or a mistyped one, counts.
local function are_options(value)
  if type(value) ~= "table" or getmetatable(value) then return false end
  local name = next(value)
  return value.on_error ~= nil or type(name) == "string" and require "green.reference.native".near(name, "on_error") ~= nil
end

local function logged(err)
  if not fault.is(err, "ECANCELED") then native.log("task.every goes on after this error", err, debug.traceback(nil, 2)) end
end

--- Starts a task that calls fn each `seconds` until the task is cancelled or fn raises, and returns its handle; with
--- { on_error = "continue" } an error is logged instead. A run is due `seconds` after the one before was due; runs that would overlap are
--- left out.
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

--- Holds values that a task's children inherit: task.context.user = "ann".
M.context = setmetatable({}, {
  __index = function(_, key) return native.context()[key] end,
  __newindex = function(_, key, value) native.context()[key] = value end,
  __pairs = function() return pairs(native.context()) end,
})

-- ---- groups ----

local Group = { __name = "green.task.Group" }
Group.__index = Group

local is_group = fault.receiver(Group, "group")

-- Cancels the children. A child that spawns one meanwhile finds `ending` set, and one that ends may move others towards the front, so that
-- the loop goes from the end. Allocates nothing, since memory may have run out.
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
    group.scope:cancel() -- ends what the body waits for, too
  end
end

function Group.__close(group, err)
  if err ~= nil then fail(group, err) end
end

-- Runs a child, whose failure fails the group. Nothing is allocated before the failure is recorded, which works also without memory.
local function run(group, fn, ...)
  local _ <close> = group
  return fn(...)
end

-- Forgets a child that has ended or is waited for. A failed child has failed the group in `run`, unless it lacked even the memory to begin:
-- then the group fails here.
local function forget(group, child)
  if child:wait() == "failed" then fail(group, "not enough memory") end
end

local MANY = 64 -- children after which a group looks which of them have ended, to forget them

-- Forgets the children that have ended, since a group may live as long as the program and have any number of them.
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

--- Spawns a child of the group, as task.spawn does; its failure ends the group.
function Group:spawn(fn, ...)
  is_group(self, "spawn")
  check_function(fn, "group:spawn")
  if self.closed then fault.misuse("group:spawn: the group has ended") end
  forget_ended(self)
  local child = native.spawn(run, self, fn, ...)
  local ok, err = pcall(insert, self.children, child) -- `insert` is not preempted, as children may spawn at the same time
  if not ok then -- no memory for a longer list: a child that the group does not know must not live on
    child:cancel()
    error(err, 0)
  end
  if self.ending or self.closed then child:cancel() end
  return child
end

--- Cancels every child. The group does not fail by that.
function Group:cancel()
  is_group(self, "cancel")
  cancel(self)
end

-- Waits until no child is left. `remove` is not preempted, as children that still run may spawn more at the same time.
local function wait_for(group)
  repeat
    local last = group.last or remove(group.children)
    group.last = last
    if last then
      if group.ending then last:cancel() end -- `cancel` may have run between `remove` and `last`, and missed this child
      forget(group, last)
      group.last = false
    end
  until not last
end

-- Runs on every way out of the group, and returns when no child lives. Allocates nothing, since memory that ran out is one of the ways.
local function finish(group, err)
  group.scope:shield() -- first, since a deadline's error, which is raised where a loop repeats, must not cut this short
  if err ~= nil or not group.complete then cancel(group) end -- a group that is neither failed nor complete is one whose coroutine was closed
  wait_for(group)
  group.closed = true
  group.scope:leave()
  if group.failed and not rawequal(group.failure, err) then error(group.failure, 0) end
end

--- Returns body(group)'s results, once every child of the group has ended. The first failure, of a child or the body, cancels the others
--- and is raised.
function M.group(body)
  check_function(body, "task.group")
  local group = setmetatable({
    children = {}, many = MANY, scope = scope.enter(),
    -- These keys exist from the beginning, since adding one later would need memory, which may be what the group fails for.
    closed = false, complete = false, ending = false, failed = false, failure = false, last = false,
  }, Group)
  local _ <close> = setmetatable({}, { __close = function(_, err) finish(group, err) end })
  local results = table.pack(body(group))
  wait_for(group)
  group.complete = true
  return table.unpack(results, 1, results.n)
end

-- ---- many at once ----

--- Calls fn(value, i) for each value of the list, at most `opts.max` (64) at once, and returns the results in the list's order.
function M.map(list, fn, opts)
  check_table(list, "task.map")
  check_function(fn, "task.map")
  local results, permits = {}, semaphore.new(check_options("task.map", opts, { max = "count" }).max or 64)
  M.group(function(group)
    for i = 1, #list do
      permits:acquire(FOREVER)
      if group.ending then return end -- a child that failed gave this permit back
      group:spawn(function()
        local _ <close> = permits
        results[i] = fn(list[i], i)
      end)
    end
  end)
  return results
end

--- Runs all functions at once, and returns their first results under the same keys.
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

--- Runs all functions at once, returns the results of the first that ends, and cancels the others. A failure counts as an end.
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
  local id = native.current()
  if self.owner == id then fault.misuse("mutex: the task has it locked already") end
  if self.background and not self.lifted then self.lifted = native.lift(self.owner) end -- or who waits would wait for everybody
  self.permit:acquire(timeout or FOREVER)
  self.owner, self.background = native.current()
  return self
end

function Mutex:unlock()
  is_mutex(self, "unlock")
  if self.owner ~= native.current() then fault.misuse("mutex: unlocked by a task that has not locked it") end
  if self.lifted then native.lower() end
  self.owner, self.background, self.lifted = false, false, false
  self.permit:release()
end

Mutex.__close = Mutex.unlock

function M.mutex() return setmetatable({ permit = semaphore.new(1), owner = false, background = false, lifted = false }, Mutex) end

return M
