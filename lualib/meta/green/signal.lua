---@meta green.signal
-- SPDX-License-Identifier: MIT

---Signals sent to the process.
---```lua norun
---local signal = require "green.signal"
---print("told to stop by SIG" .. signal.wait("INT", "TERM"))
---```
---@class green.signal
local signal = {}

---@alias green.signal.name "HUP"|"INT"|"QUIT"|"USR1"|"USR2"|"PIPE"|"ALRM"|"TERM"|"CHLD"|"CONT"|"WINCH"

---The name of the first of these signals that comes. While somebody waits for a signal it does not do what it does by
---default (end the process); before and after, it does. Several tasks may wait for the same signal: each is told. Names
---may have the prefix "SIG". A number after them is a timeout in seconds. A server that stops waits, within its `--grace`,
---for the task that was told of INT, TERM or QUIT.
---Waits until one comes, without a number for ever.
---Raises: ETIMEDOUT; an argument error for an unknown name.
---```lua
---local ok, err = pcall(signal.wait, "USR1", 0.01)
---print(err.code) --> ETIMEDOUT
---```
---@param name green.signal.name
---@param ... green.signal.name|number
---@return green.signal.name name without "SIG"
function signal.wait(name, ...) end

---From now on the signal does nothing to this process. Programs it starts are not affected.
---Does not wait.
---Raises: an argument error for an unknown name.
---```lua
---signal.ignore "HUP"
---```
---@param name green.signal.name
function signal.ignore(name) end

return signal
