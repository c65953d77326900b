-- SPDX-License-Identifier: MIT
---@meta

---Tasks: one running script each. A request, a script and whatever they spawn are tasks; they run concurrently
---on one thread. Times are seconds, as a number.
---@class green.task
local task = {}

---@class green.task.Handle
local Handle = {}

---The results of the task's function, or its error raised. Waits. Raises ETIMEDOUT after `timeout`.
---@param timeout? number seconds; without it as long as it takes
---@return any ...
function Handle:join(timeout) end

---Cancels: the await the task is in raises ECANCELED, and so does each later one (but within task.shield).
function Handle:cancel() end

---@return "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
function Handle:status() end

---Runs fn(...) as a task of its own, beginning with the next turn. Does not wait. An error that nobody joins is logged,
---with where the task was spawned. The child inherits the deadline and the context of the running task.
---
---```lua
---local a = task.spawn(http.get, "http://127.0.0.1:8080/a")
---local b = task.spawn(http.get, "http://127.0.0.1:8080/b")
---print(a:join().status, b:join().status)
---```
---@param fn function
---@param ... any its arguments
---@return green.task.Handle
function task.spawn(fn, ...) end

---Waits. 0 lets the others run.
---@param seconds number >= 0
function task.sleep(seconds) end

---@return number seconds on a clock that only goes forward
function task.now() end

---fn(...)'s results, unless `seconds` pass: then the await it is in, and each later one inside, raises EDEADLINE. Of
---several deadlines the nearest counts. Holds for libraries that know nothing of it, and for the children.
---
---```lua
---local page = task.deadline(2, function() return http.get(url).body end)
---```
---@param seconds number
---@param fn function
---@param ... any
---@return any ...
function task.deadline(seconds, fn, ...) end

---Runs clean-up that waits although the task was cancelled or is past its deadline: nothing reaches in from outside, but
---fn has only `seconds` of its own.
---@param seconds number
---@param fn function
---@param ... any
---@return any ...
function task.shield(seconds, fn, ...) end

---The running task may use so much more CPU without waiting; past it, ECPULIMIT is raised in it.
---@param seconds number > 0
function task.cpu_limit(seconds) end

---Runs fn(...) in `seconds`, as a task.
---@param seconds number
---@param fn function
---@param ... any
---@return green.task.Handle
function task.after(seconds, fn, ...) end

---Runs fn(...) every `seconds`, as a task, until it is cancelled or fn raises. Runs never overlap.
---@param seconds number > 0
---@param fn function
---@param ... any
---@return green.task.Handle
function task.every(seconds, fn, ...) end

---Values that follow a task into its children and its coroutines: `task.context.user = "ann"`. A child gets a copy.
---@type table
task.context = {}

---@class green.task.Group
local Group = {}

---A child of the group. Its failure cancels the others and is raised by task.group.
---@param fn function
---@param ... any
---@return green.task.Handle
function Group:spawn(fn, ...) end

---Cancels every child. Not a failure.
function Group:cancel() end

---body(group)'s results, once every child has ended: the group never returns while a child lives. The first failure, of a
---child or the body, cancels the others and is raised. Waits.
---
---```lua
---task.group(function(group)
---  for _, url in ipairs(urls) do group:spawn(check, url) end
---end)
---```
---@param body fun(group: green.task.Group): ...
---@return any ...
function task.group(body) end

---{ fn(value, i), ... } for each value of the list, in its order. The first failure cancels the rest and is raised. Waits.
---@param list any[]
---@param fn fun(value: any, i: integer): any
---@param opts? { max?: integer } how many run at once, 64 by default
---@return any[]
function task.map(list, fn, opts) end

---Runs all functions at once: their first results under the same keys. Waits.
---@param functions table<any, fun(): any>
---@return table
function task.all(functions) end

---Runs all functions at once: the results of the first that ends; the others are cancelled. Waits.
---@param functions (fun(): ...)[]
---@return any ...
function task.race(functions) end

---@class green.channel
local Channel = {}

---Waits while the channel is full: until the value is within the capacity, or received when that is 0. Raises ECLOSED; after
---`timeout` ETIMEDOUT, and the value is not sent.
---@param value any
---@param timeout? number seconds
function Channel:send(value, timeout) end

---@param value any
---@return boolean sent false when that would have to wait
function Channel:try_send(value) end

---The next value; nil once the channel is closed and empty. Waits. A channel is also an iterator: `for value in channel do`.
---@param timeout? number seconds
---@return any
function Channel:receive(timeout) end

---@return boolean got
---@return any value
function Channel:try_receive() end

---Nothing more can be sent; what was sent can still be received.
function Channel:close() end

---First in, first out, between any number of tasks.
---@param capacity? integer values it holds while nobody receives; 0 by default
---@return green.channel
function task.channel(capacity) end

---@param permits integer
---@return green.semaphore
function task.semaphore(permits) end

---@class green.task.Mutex
local Mutex = {}

---Waits for the lock. `local _ <close> = mutex:lock()` unlocks on every way out.
---@param timeout? number seconds
---@return green.task.Mutex
function Mutex:lock(timeout) end

---Raises when another task has it locked.
function Mutex:unlock() end

---@return green.task.Mutex
function task.mutex() end

return task
