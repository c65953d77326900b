-- SPDX-License-Identifier: MIT
---@meta green.signal

---Signals sent to the process.
---
---```lua
---local signal = require "green.signal"
---print("told to stop by SIG" .. signal.wait("INT", "TERM"))
---```
local signal = {}

---@alias green.signal.name "HUP"|"INT"|"QUIT"|"USR1"|"USR2"|"PIPE"|"ALRM"|"TERM"|"CHLD"|"CONT"|"WINCH"

---Waits until one of the named signals comes and returns its name. While somebody waits for a signal it does
---not do what it does by default (end the process); before and after, it does. Several tasks may wait for the
---same signal: each is told.
---
---Names may have the prefix "SIG". A number after them is a timeout in seconds.
---
---Raises: ETIMEDOUT; ECANCELED; an argument error for an unknown name.
---@param name green.signal.name
---@param ... green.signal.name|number
---@return green.signal.name name without "SIG"
function signal.wait(name, ...) end

---From now on the signal does nothing to this process. Programs it starts are not affected.
---@param name green.signal.name
function signal.ignore(name) end

return signal
