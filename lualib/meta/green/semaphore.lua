---@meta green.semaphore
-- SPDX-License-Identifier: MIT

---Semaphores between tasks; `green.task` has `new` as `task.semaphore`.
---@class green.semaphore
local semaphore = {}

---A semaphore with `n` permits, all free.
---
---    local ovens = task.semaphore(3)
---    do
---      local _ <close> = ovens:acquire()
---      bake()
---    end
---@param n integer at least 1
---@return green.Semaphore
function semaphore.new(n) end

---A `<close>` variable of this type releases one permit.
---@class green.Semaphore
local Semaphore = {}

---Take a permit; first come, first served. Waits when none is free. Raises ETIMEDOUT, ECANCELED, and ECLOSED once
---it was closed.
---@param timeout? number seconds; 60; math.huge: for ever
---@return green.Semaphore self for `local _ <close> =`
function Semaphore:acquire(timeout) end

---Take a permit if one is free. Never waits.
---@return boolean taken
function Semaphore:try() end

---Give a permit back: to the task that waited longest, if any waits. More often than acquired is an error.
function Semaphore:release() end

---@return integer permits that are free
function Semaphore:available() end

---Wake everybody who waits, with ECLOSED, and refuse whoever comes later.
function Semaphore:close() end

return semaphore
