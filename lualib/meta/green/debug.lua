-- SPDX-License-Identifier: MIT
---@meta

---What the process is doing. Nothing here waits.
---@class green.debug
local debug = {}

---@class green.debug.Task
---@field id integer
---@field state "ready"|"running"|"waiting"
---@field age number seconds
---@field parked boolean it waits where Lua cannot yield, and holds a C stack
---@field spawned? string "file:line"
---@field line string where it stands, "file:line"
---@field waits? string name of the operation it waits for
---@field waited? number seconds so far

---Every live task, the youngest first.
---@return green.debug.Task[]
function debug.tasks() end

---What is alive: { tasks, ops, handles, parked, pins }. Tests hold it against its value before.
---@return table<string, integer>
function debug.census() end

---Memory in bytes: what Lua, tasks and operations use, what is held for them (more, after a peak), and what --max-memory
---allows, if it was given.
---@return { used: integer, held: integer, limit?: integer }
function debug.memory() end

---How many times a task that held the CPU for too long was made to make way.
---@return integer
function debug.preempted() end

---Tell on stderr when a C function holds the loop for more than 100 ms; on by default.
---@param on boolean
function debug.report_stalls(on) end

return debug
