---@meta green.task
-- SPDX-License-Identifier: MIT

---Tasks: one running script each. A request, a script and whatever they spawn are tasks.
---They run concurrently on one thread. Times are seconds, as a number. Whatever waits, in any module, raises ECANCELED once its
---task was cancelled and EDEADLINE once a task.deadline around it is over. So does a loop that does not wait, where it repeats; also in
---message handlers, hook functions and `<close>` handlers. A finalizer (`__gc`), and the `__tostring` of an error that is logged, hold up
---every task: after 0.1 s of CPU time each is ended by an error, and reported on stderr.
---
---What one may rely on. Other tasks run where a task waits, and once it has used the CPU for a slice (10 ms) also between any two lines.
---Atomic is one operation: to read or to set a variable or a field of a table without metamethods, `#`, `next`, a `table.insert`.
---`count = count + 1` is two, and so is `if not cache[key] then cache[key] = ...`. (As measured, a slice ends where a function is
---called or a loop repeats, and of 90 million increments none was lost; under a debugger's hook, or with --shake, it ends anywhere.)
---What belongs together goes into task.atomic, or, if something in it waits, between `local _ <close> = mutex:lock()` and its `end`; what
---many want and one is to compute, into task.single. `greenlua --shake` finds what was forgotten.
---```lua
---local task = require "green.task"
---local slow = task.spawn(function() task.sleep(0.01) return "slow" end)
---local quick = task.spawn(function() return "quick" end)
---print(slow:join(), quick:join(), slow:status()) --> slow  quick  done
---```
---@class green.task
local task = {}

---A task, seen from outside.
---```lua
---local one = task.spawn(task.sleep, 60)
---task.sleep(0)
---print(one:status()) --> waiting
---one:cancel()
---print(one:wait()) --> cancelled
---print(green.try(one.join, one)) --> nil  task.sleep: the task was cancelled
---```
---@class green.Task
local Task = {}

---The results of the task's function, or its error raised.
---Waits until it has ended, without `timeout` as long as it takes.
---Raises: what the function raised; ETIMEDOUT, and the task goes on; EDEADLK when it would wait for itself, as the task wants a module that is
---being loaded here.
---@param timeout? number seconds
---@return any ...
function Task:join(timeout) end

---How it ended; a failure is then nobody else's to log.
---Waits until it has ended, without `timeout` as long as it takes.
---Raises: ETIMEDOUT, and the task goes on; EDEADLK, as join does.
---@param timeout? number seconds
---In a child that a C module forked, a task of the parent's is "elsewhere": it never runs there, and nobody can wait for it.
---@return "done"|"failed"|"cancelled"|"elsewhere"
function Task:wait(timeout) end

---Cancels: the wait the task is in raises ECANCELED, and so does each later one (but within task.shield).
---Does not wait.
function Task:cancel() end

---What the task is doing.
---Does not wait.
---@return "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"|"elsewhere"
function Task:status() end

---Runs fn(...) as a task of its own, beginning with the next turn. An error that nobody joins is logged, with where the
---task was spawned. The child inherits the deadline and the context of the running task.
---Does not wait.
---Raises: ECPULIMIT in the clean-up of a task beyond its limit, when that has no time left (task.cpu_limit).
---```lua
---local a = task.spawn(http.get, site .. "/orders/1")
---local b = task.spawn(http.get, site .. "/orders/2")
---print(a:join().status, b:join().status) --> 200  200
---```
---@param fn function
---@param ... any its arguments
---@return green.Task
function task.spawn(fn, ...) end

---Lets time pass; 0 lets the others run.
---Waits.
---```lua
---task.sleep(0.01)
---```
---@param seconds number >= 0
function task.sleep(seconds) end

---A clock that only goes forward.
---Does not wait.
---```lua
---local began = task.now()
---task.sleep(0.01)
---print(task.now() - began >= 0.01) --> true
---```
---@return number seconds
function task.now() end

---fn(...)'s results, unless `seconds` pass: then the wait it is in, and each later one inside, raises EDEADLINE. Of
---several deadlines the nearest counts. Holds for libraries that know nothing of it, and for the children. A computation without a
---wait is ended as well, where a loop repeats: what a call has just returned still reaches its `<close>` variable.
---Waits as `fn` does.
---Raises: EDEADLINE; what `fn` raises.
---```lua
---local ok, err = pcall(task.deadline, 0.01, task.sleep, 60)
---print(err.code) --> EDEADLINE
---```
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ...
function task.deadline(seconds, fn, ...) end

---Runs clean-up that waits although the task was cancelled or is past its deadline: nothing reaches in from outside, but
---fn has only `seconds` of its own.
---Waits as `fn` does.
---Raises: EDEADLINE after `seconds`; what `fn` raises.
---```lua
---task.shield(2, function() http.delete(site .. "/orders") end)
---```
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ...
function task.shield(seconds, fn, ...) end

---Runs fn(...) in one piece: no other task runs meanwhile, however long it takes. For steps that belong together, such as a
---look at shared values and a change that follows from it, which the end of a slice could otherwise come between.
---Nothing in it may wait, or yield out of it. Sections may lie in each other. A section that takes more than 0.1 s of CPU is
---reported on stderr and goes on as if it were none: what is to stay whole for so long needs a task.mutex.
---Does not wait.
---Raises: EATOMIC in it, of whatever would wait; what `fn` raises.
---```lua
---local stock = { soup = 3 }
---local function take(dish)
---  if stock[dish] == 0 then return false end
---  stock[dish] = stock[dish] - 1
---  return true
---end
---print(task.atomic(take, "soup"), stock.soup) --> true  2
---print(green.try(task.atomic, task.sleep, 1)) --> nil  task.sleep: cannot wait within task.atomic
---```
---@param fn function
---@param ... any its arguments
---@return any ...
function task.atomic(fn, ...) end

---fn(...)'s results, or its error. While it runs, whoever calls task.single with an equal key, in the whole process, waits for it and gets
---the same: twenty requests that miss the cache compute once. Who comes later runs its own fn again, which should look again whether
---there is something left to do. A key is any value but nil and NaN: a
---name that nobody else uses, such as "menu:friday", or a table of one's own.
---fn runs in a task of its own. So a caller that is cancelled or out of time leaves alone, and when the last one has left, fn
---is cancelled. It has nobody's deadline and context; the limits of who began it (task.cpu_limit) hold for it, by an account of its own.
---Waits until fn has ended.
---Raises: what `fn` raises, the same value for all; EDEADLK when fn would wait for itself, with the same key; ECANCELED when the program ends; ENOTASK
---outside of a task.
---```lua
---local cache, computed = {}, 0
---local function fill(day)
---  if cache[day] then return end -- somebody was quicker
---  computed = computed + 1
---  cache[day] = http.get(site .. "/orders/7"):json().item
---end
---local function menu(day)
---  if not cache[day] then task.single("menu:" .. day, fill, day) end
---  return cache[day]
---end
---local all = task.map({ "friday", "friday", "friday" }, menu)
---print(all[1], all[3], computed) --> soup  soup  1
---```
---@param key any
---@param fn function
---@param ... any its arguments
---@return any ...
function task.single(key, fn, ...) end

---fn(...)'s results. It runs, and so do the tasks that it spawns, when nothing else wants to: for reports, re-indexing, the warming of
---caches. When nothing is idle it still gets a thirtieth of the time, so that what it holds is given back one day. A task that others
---join runs as they do from then on, and the owner of a mutex that others want, until it unlocks.
---Waits, once, before fn begins.
---Raises: what `fn` raises; ENOTASK outside of a task.
---```lua
---local report = task.spawn(task.background, function()
---  local sum = 0
---  for i = 1, 100000 do sum = sum + i end -- requests are answered meanwhile as if nothing ran
---  return sum
---end)
---print(report:join()) --> 5000050000
---```
---@param fn function
---@param ... any its arguments
---@return any ...
function task.background(fn, ...) end

---The running task may use so much more CPU time, together with all tasks that it spawns from now on, however often they wait. Past
---it, all of them end: ECPULIMIT is raised in each, where it waits or a loop repeats, and in each later wait (but within task.shield).
---Who catches that has for its clean-up, together with the others, 5 % of the limit (from 5 to 100 ms); what is closed then, 0.1 s more. Each
---task that is spawned in a shield then has an eighth of what is left of that, with all that it spawns (100 tasks at once), until it is less than 0.5 ms: ECPULIMIT. A
---request has such a limit from the beginning (`cpu_limit` of the server). A limit within another counts for both.
---Does not wait.
---Raises: ENOTASK outside of a task.
---```lua
---task.cpu_limit(0.02)
---local ok, err = pcall(function() while true do end end)
---print(err.code) --> ECPULIMIT
---```
---@param seconds number > 0
function task.cpu_limit(seconds) end

---The running task, with all tasks that it spawns from now on, may be so many at once. The next one is refused, and then all of them
---end, as under task.cpu_limit, with ETASKLIMIT: a fork bomb ends as a whole. A request has such a limit from the beginning
---(`max_tasks` of the server).
---Does not wait.
---Raises: ENOTASK outside of a task.
---```lua
---local bomb = task.spawn(function()
---  task.max_tasks(10)
---  for _ = 1, 20 do task.spawn(task.sleep, 60) end
---end)
---print(bomb:wait(), select(2, pcall(bomb.join, bomb)).code) --> failed  ETASKLIMIT
---```
---@param n integer at least 1
function task.max_tasks(n) end

---Runs fn(...) in `seconds`, as a task.
---Does not wait.
---```lua
---print(task.after(0.01, math.max, 1, 2):join()) --> 2
---```
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return green.Task
function task.after(seconds, fn, ...) end

---Runs fn(...) every `seconds`, as a task, until it is cancelled or fn raises; with `{ on_error = "continue" }` before fn's
---own arguments an error is logged, and it goes on. Runs never overlap.
---Does not wait.
---```lua
---local ticks = 0
---local clock = task.every(0.005, function() ticks = ticks + 1 end)
---task.sleep(0.05)
---clock:cancel()
---print(ticks > 1) --> true
---```
---@param seconds number > 0
---@param fn function
---@param ... any `{ on_error = "continue" }`, if that is wanted, then its arguments
---@return green.Task
function task.every(seconds, fn, ...) end

---Values that follow a task into its children and its coroutines. A child gets a copy.
---```lua
---task.context.user = "ann"
---print(task.spawn(function() return task.context.user end):join()) --> ann
---```
---@type table
task.context = {}

---The children of one task.group.
---```lua
---task.group(function(group)
---  group:spawn(task.sleep, 60)
---  group:spawn(function() group:cancel() end)
---end)
---```
---@class green.task.Group
local Group = {}

---A child of the group. Its failure cancels the others and is raised by task.group.
---Does not wait.
---@param fn function
---@param ... any its arguments
---@return green.Task
function Group:spawn(fn, ...) end

---Cancels every child. Not a failure.
---Does not wait.
function Group:cancel() end

---body(group)'s results, once every child has ended: the group never returns while a child lives. The first failure, of a
---child or the body, cancels the others and is raised.
---Waits until the last child has ended.
---Raises: the first failure.
---```lua
---task.group(function(group)
---  for _, id in ipairs { 1, 2, 3 } do group:spawn(http.get, site .. "/orders/" .. id) end
---end)
---```
---@param body fun(group: green.task.Group): ...
---@return any ...
function task.group(body) end

---{ fn(value, i), ... } for each value of the list, in its order. The first failure cancels the rest.
---Waits until all are done.
---Raises: the first failure.
---```lua
---local function load(id) return http.get(site .. "/orders/" .. id):json().id end
---print(table.concat(task.map({ 1, 2, 3 }, load, { max = 2 }), " ")) --> 1 2 3
---```
---@param list any[]
---@param fn fun(value: any, i: integer): any
---@param opts? { max?: integer } how many run at once, 64 by default
---@return any[]
function task.map(list, fn, opts) end

---Runs all functions at once: their first results under the same keys.
---Waits until all are done.
---Raises: the first failure, which cancels the rest.
---```lua
---local got = task.all {
---  order = function() return http.get(site .. "/orders/7"):json() end,
---  now = task.now,
---}
---print(got.order.item, got.now > 0) --> soup  true
---```
---@param functions table<any, fun(): any>
---@return table
function task.all(functions) end

---Runs all functions at once: the results of the first that ends; the others are cancelled.
---Waits until one has ended.
---Raises: a failure, which counts as an end.
---```lua
---local function slow() task.sleep(60) return "slow" end
---print(task.race { slow, function() return "quick" end }) --> quick
---```
---@param functions (fun(): ...)[]
---@return any ...
function task.race(functions) end

---Values from task to task, first in, first out. A channel is also an iterator: `for value in channel do`; `#channel` is how
---many values it holds.
---```lua
---local channel = task.channel(2)
---task.spawn(function()
---  for i = 1, 3 do channel:send(i) end
---  channel:close()
---end)
---local sum = 0
---for value in channel do sum = sum + value end
---print(sum) --> 6
---print(channel:receive(), channel:try_receive()) --> nil  false
---print(channel:try_send(4) == false) --> true
---```
---@class green.Channel
local Channel = {}

---Sends a value.
---Waits while the channel is full: until the value is within the capacity, or received when that is 0.
---Raises: ECLOSED; ETIMEDOUT, and the value is not sent.
---@param value any
---@param timeout? number seconds; without it as long as it takes
function Channel:send(value, timeout) end

---Sends a value if that can be done at once.
---Does not wait.
---@param value any
---@return boolean sent
function Channel:try_send(value) end

---The next value; nil once the channel is closed and empty.
---Waits.
---Raises: ETIMEDOUT.
---@param timeout? number seconds; without it as long as it takes
---@return any
function Channel:receive(timeout) end

---The next value, if there is one.
---Does not wait.
---@return boolean got
---@return any value
function Channel:try_receive() end

---Nothing more can be sent; what was sent can still be received.
---Does not wait.
function Channel:close() end

---A channel, between any number of tasks.
---Does not wait.
---```lua
---local channel = task.channel()
---task.spawn(channel.send, channel, "hello")
---print(channel:receive()) --> hello
---```
---@param capacity? integer values it holds while nobody receives; 0 by default
---@return green.Channel
function task.channel(capacity) end

---A semaphore with so many permits, see green.semaphore.
---Does not wait.
---```lua
---local ovens = task.semaphore(2)
---local _ <close> = ovens:acquire()
---```
---@param permits integer at least 1
---@return green.Semaphore
function task.semaphore(permits) end

---A lock that one task at a time has.
---```lua
---local mutex = task.mutex()
---do
---  local _ <close> = mutex:lock()
---  task.sleep(0.001) -- nobody else is here meanwhile
---end
---mutex:lock()
---mutex:unlock()
---```
---@class green.task.Mutex
local Mutex = {}

---Takes the lock. `local _ <close> = mutex:lock()` gives it back on every way out.
---Waits while another task has it, without `timeout` as long as it takes.
---Raises: ETIMEDOUT; a message when the task has it already.
---@param timeout? number seconds
---@return green.task.Mutex
function Mutex:lock(timeout) end

---Gives the lock back.
---Does not wait.
---Raises: a message when another task has it.
function Mutex:unlock() end

---A lock.
---Does not wait.
---```lua
---local mutex = task.mutex()
---local _ <close> = mutex:lock()
---```
---@return green.task.Mutex
function task.mutex() end

return task
