---@meta green.debug
-- SPDX-License-Identifier: MIT

---What the process is doing.
---Nothing here waits.
---```lua
---for _, t in ipairs(require "green.debug".tasks()) do
---  if t.waits_for then print(t.id, t.name, t.line, t.waits_for, t.since) end
---end
---```
---@class green.debug
local debug = {}

---@class green.debug.Task
---@field id integer its number, which no other task will have
---@field name string "GET /orders", "job receipt 12", "spawned at app.lua:3", "script"
---@field task? green.Task the handle, of a task that was spawned
---@field state "ready"|"running"|"waiting"
---@field age number seconds
---@field cpu number seconds of CPU time used, by all together that share its limit: by the whole request
---@field cuts integer how many slices it was cut at, because it computed for too long without a wait
---@field parked boolean it waits where Lua cannot yield, and holds a C stack
---@field spawned? string "file:line"
---@field line string where it stands, "file:line"
---@field waits_for? string the operation it waits for, and what that is about
---@field since? number for how many seconds it has been waiting for that
---@field method? string of the request that it answers, as are those that follow
---@field path? string as it was sent
---@field request? string req.id
---@field peer? string req.remote, while the client is there

---Every live task, the youngest first.
---@return green.debug.Task[]
function debug.tasks() end

---Cancels the task with this number, as its handle would.
---```lua
---local debug = require "green.debug"
---local one = task.spawn(task.sleep, 60)
---local id = math.tointeger(tostring(one):match "%d+")
---print(debug.cancel(id), one:wait(), debug.cancel(id)) --> true  cancelled  false
---```
---@param id integer
---@return boolean cancelled false: no task that is alive has this number
function debug.cancel(id) end

---The coroutine in which a task began, to look at: it cannot be resumed.
---```lua
---local debug = require "green.debug"
---for _, t in ipairs(debug.tasks()) do
---  local co = debug.coroutine(t.id)
---  if co then print(t.id, _G.debug.traceback(co)) end
---end
---```
---@param id integer
---@return thread? # nil: there is no such task, or it has not begun
function debug.coroutine(id) end

---What is alive: { tasks, ops, handles, parked, pins }. Tests hold it against its value before.
---```lua
---print(require "green.debug".census().tasks >= 1) --> true
---```
---@return table<string, integer>
function debug.census() end

---Memory in bytes: what Lua, tasks, operations and buffers use, what is held for them (more, after a peak), and
---what --max-memory allows, if it was given.
---```lua
---print(require "green.debug".memory().used > 0) --> true
---```
---@return { used: integer, held: integer, limit?: integer }
function debug.memory() end

---How many times a task that held the CPU for too long was made to make way.
---```lua
---print(require "green.debug".preempted() >= 0) --> true
---```
---@return integer
function debug.preempted() end

---Tell on stderr when a C function holds the loop for more than 100 ms; on by default. Each place is told once, with its callers and
---what to do about it, and then with how often it came again.
---```lua
---require "green.debug".report_stalls(false)
---```
---@param on boolean
function debug.report_stalls(on) end

---For tests: interrupts the running task in its n-th wait from now, as a cancel would, or the end of its time.
---```lua
---require "green.debug".cancel_at(1)
---local ok, err = pcall(task.sleep, 0.01)
---print(err.code) --> ECANCELED
---```
---@param n integer 0: never
---@param how? "cancel"|"deadline" "cancel"
---@return integer left how many waits were still to go, of the last call
function debug.cancel_at(n, how) end

---For tests: cancels the running task at the n-th instruction from now of the coroutine that calls this, as if its time were over
---there: the error comes without a wait, where a loop repeats.
---```lua
---local worker = task.spawn(function()
---  require "green.debug".end_at(100)
---  while true do end
---end)
---print(worker:wait()) --> cancelled
---```
---@param n integer 0: never
function debug.end_at(n) end

---For tests: refuses the running task its n-th allocation from now, once; call frames and small stacks do not count.
---```lua
---local debug = require "green.debug"
---local ok, err = pcall(function()
---  debug.fail_alloc(1)
---  return ("x"):rep(100000)
---end)
---print(err) --> not enough memory
---```
---@param n integer 0: none
---@return integer left how many were still to go, of the last call
function debug.fail_alloc(n) end

---For tests: switches tasks at random instructions from now on, and where C has just called Lua; atomic sections hold. A
---race shows up within seconds, and where neither time nor the network has a say, again with the same seed.
---```lua
---local debug = require "green.debug"
---debug.shake(7)
---local count = 0
---task.map({ 1, 2, 3, 4 }, function()
---  for _ = 1, 100 do
---    local n = count
---    count = n + 1
---  end
---end)
---debug.shake(0)
---print(count < 400) --> true
---```
---@param seed integer 0: no more
function debug.shake(seed) end

return debug
