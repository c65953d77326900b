-- SPDX-License-Identifier: MIT
-- Tasks: one running script each, with structure, deadlines, cancellation and ways to talk. The C half spawns, joins
-- and cancels (host/sys/task.c); what is put together from that is here.
local native = require "green.task.native"
local channel = require "green.channel"
local scope = require "green.scope"
local semaphore = require "green.semaphore"
local timer = require "green.timer"

local M = {
  channel = channel.new,
  cpu_limit = native.cpu_limit,
  now = timer.now,
  semaphore = semaphore.new,
  sleep = timer.sleep,
  spawn = native.spawn,
}

local FOREVER = math.huge

-- ---- arguments: misuse is told to the caller of the function it names ----

local function check_function(value, where)
  if type(value) ~= "function" then error(("%s: a function expected, not %s"):format(where, type(value)), 3) end
end

local function check_seconds(value, where)
  if type(value) == "number" and value >= 0 then return end
  local what = type(value) == "number" and ("%g"):format(value) or type(value)
  error(("%s: a number of seconds >= 0 expected, not %s"):format(where, what), 3)
end

local function check_table(value, where)
  if type(value) ~= "table" then error(("%s: a table expected, not %s"):format(where, type(value)), 3) end
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

--- fn() each `seconds`, as a task, until it is cancelled or fn raises. The next run is due `seconds` after the last
--- one was; runs that would overlap are left out.
function M.every(seconds, fn, ...)
  if not (type(seconds) == "number" and seconds > 0) then error("task.every: a number of seconds > 0 expected", 2) end
  check_function(fn, "task.every")
  return native.spawn(function(...)
    local due = timer.now()
    while true do
      local now = timer.now()
      due = math.max(due + seconds, now)
      timer.sleep(due - now)
      fn(...)
    end
  end, ...)
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

local function fail(group, err)
  if not group.failed and not group.ending then
    group.failed, group.failure = true, err
    group:cancel()
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
  for i = 1, #children do
    local child = children[i]
    children[i] = nil
    local status = child:status()
    if status == "done" or status == "failed" or status == "cancelled" then
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
  check_function(fn, "group:spawn")
  if self.closed then error("group:spawn: the group has ended", 2) end
  forget_ended(self)
  local child = native.spawn(run, self, fn, ...)
  self.children[#self.children + 1] = child
  if self.ending then child:cancel() end
  return child
end

--- Cancels every child; not a failure.
function Group:cancel()
  self.ending = true
  for _, child in ipairs(self.children) do child:cancel() end
end

local function wait_for(group)
  local children = group.children
  while children[1] do
    local last = children[#children]
    forget(group, last)
    if children[#children] == last then children[#children] = nil end -- else it spawned more meanwhile
  end
end

-- Runs on every way out of the group, and comes back when no child lives. Allocates nothing, since one way out is that
-- memory ran out.
local function finish(group, err)
  if err ~= nil or not group.complete then group:cancel() end -- not complete: a coroutine that was closed
  group.scope:shield()
  wait_for(group)
  group.closed = true
  group.scope:leave()
  if group.failed and not rawequal(group.failure, err) then error(group.failure, 0) end
end

--- body(group)'s results, once every child of the group has ended. The first failure, of a child or the body, cancels
--- the others and is raised.
function M.group(body)
  check_function(body, "task.group")
  local group = setmetatable({ children = {}, many = MANY, scope = scope.enter() }, Group)
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
  local max = opts and opts.max
  if max ~= nil and not (math.type(max) == "integer" and max >= 1) then error("task.map: max must be an integer >= 1", 2) end
  local results, permits = {}, semaphore.new(max or 64)
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
  if #functions == 0 then error("task.race: nobody runs", 2) end
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

--- Waits for the lock. The result unlocks it when a <close> variable that holds it goes: local _ <close> = m:lock()
function Mutex:lock(timeout)
  if self.owner == native.current() then error("mutex: the task has it locked already", 2) end
  self.permit:acquire(timeout or FOREVER)
  self.owner = native.current()
  return self
end

function Mutex:unlock()
  if self.owner ~= native.current() then error("mutex: unlocked by a task that has not locked it", 2) end
  self.owner = nil
  self.permit:release()
end

Mutex.__close = Mutex.unlock

function M.mutex() return setmetatable({ permit = semaphore.new(1) }, Mutex) end

return M
