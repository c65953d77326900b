-- SPDX-License-Identifier: MIT
-- Runs a program (generate.lua) with real tasks, and watches, while it runs, that
--   no interruption reaches where none may (a shield holds), and each one is sticky: the next wait raises as well;
--   what is closed is closed once, after all that is in it has ended;
--   no child outlives its group, and none begins when it is over;
--   a channel gives each value once, in the order it was sent; a semaphore never has more holders than permits.
local debug = require "green.debug"
local task = require "green.task"

local FOREVER = 60

local run

local function violated(message, ...) error(("VIOLATED: " .. message):format(...), 0) end

local function code_of(err) return type(err) == "table" and err.code or nil end

-- An error of a program is a table with its number; of the host, one with a code.
local function name_of(err)
  if type(err) ~= "table" then return tostring(err) end
  return err.id or err.code
end

local function is_interruption(code) return code == "ECANCELED" or code == "EDEADLINE" end

-- A wait: what interrupts it must be allowed to, and does so again.
local function wait(w, may, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err = results[2]
  if is_interruption(code_of(err)) then
    if not may[err.code] then w:violation("%s where nothing may interrupt", err.code) end
    local ok, again = pcall(task.sleep, 0)
    if ok or not is_interruption(code_of(again)) then w:violation("a wait after %s did not raise", err.code) end
  end
  error(err, 0)
end

local function inherited(may) return { EDEADLINE = may.EDEADLINE } end

local function with(may, code)
  local copy = { [code] = true }
  for each in pairs(may) do copy[each] = true end
  return copy
end

-- A value whose end is counted: once, and with nothing left inside.
local function guard(w)
  local g = { inside = 0 }
  w.guards[#w.guards + 1] = g
  return setmetatable(g, { __close = function(self)
    self.closed = (self.closed or 0) + 1
    if self.inside > 0 then w:violation("closed with %d inside", self.inside) end
  end })
end

-- Adds to a counter in one piece: shaken, another task runs between any two instructions.
local function count(t, key, n) return task.atomic(function()
  t[key] = t[key] + n
  return t[key]
end) end

-- The life of a child within what must not end before it.
local function child(g, w, fn)
  return function(...)
    if g.closed then w:violation "a child began after its group" end
    count(g, "inside", 1)
    local _ <close> = setmetatable({}, { __close = function() count(g, "inside", -1) end })
    return fn(...)
  end
end

-- A task that ends with this block, whatever happens.
local function spawned(fn)
  local handle = task.spawn(fn)
  return handle, setmetatable({}, { __close = function()
    handle:cancel()
    task.shield(FOREVER, handle.wait, handle)
  end })
end

-- What a child of ours raised is its own: it is not for our wait to be sticky about.
local function join(handle) return handle:join() end

local kinds = {}

function kinds.seq(node, w, may)
  local sum = 0
  for _, each in ipairs(node) do sum = sum + run(each, w, may) end
  return sum
end

function kinds.mark(node) return node.value end
function kinds.error(node) error({ id = node.id }, 0) end

function kinds.sleep(node, w, may)
  wait(w, may, task.sleep, node.seconds)
  return 0
end

function kinds.compute(node)
  local sum = 0
  for i = 1, node.rounds do sum = sum + i end
  return sum
end

-- A wait that nothing ends but its own time, which is not sticky.
function kinds.timeout(node, w, may)
  local channel, semaphore = task.channel(0), task.semaphore(1)
  semaphore:acquire()
  local ok, err = pcall(function()
    if node.what == "receive" then wait(w, may, channel.receive, channel, 0.0004)
    elseif node.what == "send" then wait(w, may, channel.send, channel, 1, 0.0004)
    else wait(w, may, semaphore.acquire, semaphore, 0.0004) end
  end)
  if ok then w:violation("%s had nothing to wait for, and returned", node.what) end
  if code_of(err) ~= "ETIMEDOUT" then error(err, 0) end
  if #channel ~= 0 then w:violation "a value that was not sent is in its channel" end
  semaphore:release()
  if semaphore:available() ~= 1 then w:violation "a permit is gone" end
  return 7
end

function kinds.endless(_, w, may)
  while true do wait(w, may, task.sleep, 0.0002) end
end

function kinds.pcall(node, w, may)
  local ok, value = pcall(run, node[1], w, may)
  if not ok and name_of(value) == tostring(value) then error(value, 0) end -- a plain string: nothing of ours
  return ok and value or -1
end

function kinds.close(node, w, may)
  local _ <close> = guard(w)
  local _ <close> = setmetatable({}, { __close = function()
    if node.how == "waits" then task.shield(FOREVER, task.sleep, 0) end
    if node.how == "raises" then error({ id = node.id }, 0) end
  end })
  local _ <close> = guard(w)
  return run(node[1], w, may)
end

function kinds.deadline(node, w, may)
  return task.deadline(node.seconds, run, node[1], w, node.seconds < 60 and with(may, "EDEADLINE") or may)
end

function kinds.shield(node, w) return task.shield(FOREVER, run, node[1], w, {}) end

local places = {
  sort = function(fn)
    local done = false
    table.sort({ 1, 2 }, function(a, b)
      if not done then
        done = true
        fn()
      end
      return a < b
    end)
  end,
  gsub = function(fn) string.gsub("x", "x", function() fn() end) end,
  tostring = function(fn) tostring(setmetatable({}, { __tostring = function() fn() return "" end })) end,
  index = function(fn) return setmetatable({}, { __index = function() return fn() end }).x end,
  load = function(fn)
    local given
    load(function()
      if given then return nil end
      given = true
      fn()
      return "return 1"
    end)
  end,
}

function kinds.parked(node, w, may)
  local value, failed, err
  places[node.where](function()
    -- `load` returns what its reader raises; so that the same comes of each place, it goes around.
    local ok, result = pcall(run, node[1], w, may)
    if ok then value = result
    elseif node.where == "load" then failed, err = true, result
    else error(result, 0) end
  end)
  if failed then error(err, 0) end
  return value
end

function kinds.coroutine(node, w, may) return coroutine.wrap(run)(node[1], w, may) end

function kinds.generator(node, w, may)
  local sum, last = 0, nil
  local co = coroutine.create(function()
    local value = run(node[1], w, may)
    for i = 1, node.yields do
      coroutine.yield(i)
      wait(w, may, task.sleep, 0)
    end
    return value, true
  end)
  local _ <close> = setmetatable({}, { __close = function() coroutine.close(co) end })
  repeat
    local ok, value, ended = coroutine.resume(co)
    if not ok then -- what its variables raise as they are closed takes the place of its error
      local _, last_error = coroutine.close(co)
      error(last_error, 0)
    end
    if ended then last = value else sum = sum + value end
  until ended
  return sum + last
end

function kinds.join(node, w, may)
  local g = guard(w)
  local _ <close> = g
  local reach = inherited(may)
  if next(may) then reach = with(reach, "ECANCELED") end -- who is interrupted in our wait ends its child
  local handle, owner = spawned(child(g, w, function() return run(node[1], w, reach) end))
  local _ <close> = owner
  return join(handle)
end

function kinds.cancel(node, w, may)
  local g = guard(w)
  local _ <close> = g
  local handle, owner = spawned(child(g, w, function() return run(node[1], w, with(inherited(may), "ECANCELED")) end))
  local _ <close> = owner
  if not node.early then wait(w, may, task.sleep, 0) end
  handle:cancel()
  wait(w, may, handle.wait, handle)
  if g.inside > 0 then w:violation "a task goes on after its end" end
  return 3
end

-- The task is cancelled at an instruction, where it does not wait; at the latest when it has been waited for a moment.
function kinds.ended(node, w, may)
  local g = guard(w)
  local _ <close> = g
  local life = child(g, w, function() return run(node[1], w, with(inherited(may), "ECANCELED")) end)
  local handle, owner = spawned(function()
    debug.end_at(node.at)
    return life()
  end)
  local _ <close> = owner
  for _ = 1, 3 do wait(w, may, task.sleep, 0) end
  handle:cancel()
  wait(w, may, handle.wait, handle)
  if g.inside > 0 then w:violation "a task goes on after its end" end
  return 3
end

function kinds.group(node, w, may)
  local g = guard(w)
  local _ <close> = g
  return task.group(function(group)
    for i, each in ipairs(node) do
      local reach = with(inherited(may), "ECANCELED")
      group:spawn(child(g, w, function()
        local more = node.nested and node.nested[i]
        if more then group:spawn(child(g, w, function() return run(more, w, reach) end)) end
        return run(each, w, reach)
      end))
    end
    -- The body is cancelled with its group, too.
    local value = node.body and run(node.body, w, with(may, "ECANCELED")) or 0
    if node.cancels then group:cancel() end
    return value
  end)
end

function kinds.map(node, w, may)
  local g = guard(w)
  local _ <close> = g
  local now = { running = 0 }
  local values = task.map(node, child(g, w, function(each)
    local running = count(now, "running", 1)
    local _ <close> = setmetatable({}, { __close = function() count(now, "running", -1) end })
    if running > node.max then w:violation("%d at once, not %d", running, node.max) end
    return run(each, w, with(inherited(may), "ECANCELED"))
  end), { max = node.max })
  local sum = 0
  for i = 1, #node do sum = sum + values[i] end
  return sum
end

function kinds.race(node, w, may)
  local g = guard(w)
  local _ <close> = g
  local functions = {}
  for i, each in ipairs(node) do
    functions[i] = child(g, w, function() return run(each, w, with(inherited(may), "ECANCELED")) end)
  end
  return task.race(functions)
end

-- Each sender sends 1 to n, in order; receivers take turns as they can.
function kinds.pipeline(node, w, may)
  local channel, got, total = task.channel(node.capacity), {}, { sum = 0, left = node.senders }
  local reach = with(inherited(may), "ECANCELED")
  local g = guard(w)
  local _ <close> = g
  task.group(function(group)
    for s = 1, node.senders do
      got[s] = 0
      group:spawn(child(g, w, function()
        for i = 1, node.n do wait(w, reach, channel.send, channel, { from = s, value = i }) end
        if count(total, "left", -1) == 0 then channel:close() end
      end))
    end
    for _ = 1, node.receivers do
      group:spawn(child(g, w, function()
        local last = {} -- of each sender: what a receiver gets of one is in order
        while true do
          local message = wait(w, reach, channel.receive, channel)
          if not message then return end
          if message.value <= (last[message.from] or 0) then w:violation "a channel out of order" end
          last[message.from] = message.value
          count(got, message.from, 1)
          count(total, "sum", message.value)
        end
      end))
    end
  end)
  for s = 1, node.senders do
    if got[s] ~= node.n then w:violation("%d of %d values arrived", got[s], node.n) end
  end
  return total.sum
end

function kinds.permits(node, w, may)
  local permits = node.mutex and 1 or node.permits
  local lock = node.mutex and task.mutex() or task.semaphore(permits)
  local now = { holders = 0, entered = 0 }
  local reach = with(inherited(may), "ECANCELED")
  local g = guard(w)
  local ok, err
  do
    local _ <close> = g
    ok, err = pcall(task.group, function(group)
      for _ = 1, node.tasks do
        group:spawn(child(g, w, function()
          local _ <close> = wait(w, reach, node.mutex and lock.lock or lock.acquire, lock)
          local holders = count(now, "holders", 1)
          local _ <close> = setmetatable({}, { __close = function() count(now, "holders", -1) end })
          if holders > permits then w:violation("%d holders of %d permits", holders, permits) end
          count(now, "entered", 1)
          wait(w, reach, task.sleep, 0)
        end))
      end
    end)
  end
  local free = node.mutex and lock.permit or lock
  if now.holders ~= 0 or free:available() ~= permits then w:violation("%d of %d permits are left", free:available(), permits) end
  if not ok then error(err, 0) end
  return now.entered
end

function run(node, w, may) return kinds[node.kind](node, w, may) end

local Watch = {}
Watch.__index = Watch

-- A violation cannot be swallowed by a program's pcall: it is kept.
function Watch:violation(message, ...)
  local text = message:format(...)
  self.violations[#self.violations + 1] = text
  violated("%s", text)
end

-- Runs it: whether it returned, its value or its error's name, and the list of what was violated.
return function(program)
  local w = setmetatable({ guards = {}, violations = {} }, Watch)
  local ok, value = pcall(run, program, w, {})
  for _, g in ipairs(w.guards) do
    if g.closed ~= 1 then w.violations[#w.violations + 1] = ("closed %s times"):format(g.closed or 0) end
    if g.inside ~= 0 then w.violations[#w.violations + 1] = "something is left inside" end
  end
  return ok, ok and value or name_of(value), w.violations
end
