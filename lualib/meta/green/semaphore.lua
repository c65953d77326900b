---@meta green.semaphore
-- SPDX-License-Identifier: MIT

---Semaphores between tasks. `task.semaphore` is `new`.
---```lua
---local ovens = require "green.semaphore".new(3)
---do
---  local _ <close> = ovens:acquire()
---  print(ovens:available()) --> 2
---end
---print(ovens:try(), ovens:available()) --> true  2
---ovens:release()
---ovens:close()
---```
---@class green.semaphore
local semaphore = {}

---A semaphore with `n` permits, all free.
---Does not wait.
---@param n integer at least 1
---@return green.Semaphore
function semaphore.new(n) end

---A `<close>` variable of this type releases one permit.
---@class green.Semaphore
local Semaphore = {}

---Takes a permit; first come, first served.
---Waits when none is free.
---Raises: ETIMEDOUT; ECLOSED once it was closed.
---@param timeout? number seconds; 60; math.huge: for ever
---@return green.Semaphore self for `local _ <close> =`
function Semaphore:acquire(timeout) end

---Takes a permit if one is free.
---Does not wait.
---@return boolean taken
function Semaphore:try() end

---Gives a permit back: to the task that waited longest, if any waits.
---Does not wait.
---Raises: an error when it is given back more often than it was taken.
function Semaphore:release() end

---How many permits are free.
---Does not wait.
---@return integer
function Semaphore:available() end

---Wakes everybody who waits, with ECLOSED, and refuses whoever comes later.
---Does not wait.
function Semaphore:close() end

return semaphore
