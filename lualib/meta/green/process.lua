---@meta green.process
-- SPDX-License-Identifier: MIT

---Child processes.
---A command is a list of words, so nothing needs quoting; for the shell it is `{ "sh", "-c", "..." }`.
---
---Nothing is left behind: `run` and `capture` kill the child on every way out but its own end, a `<close>` variable
---ends its process, one that was spawned ends with its task at the latest, and a process nobody refers to any more is killed. Signal handlers of children are the default
---ones, and they inherit no descriptor but the three.
---
---Errors name the command: "process.spawn: nosuch: no such file or directory" (ENOENT).
---```lua
---local process = require "green.process"
---local got = process.capture({ "sort", "-u" }, { input = "b\na\nb\n" })
---assert(got.code == 0, got.stderr)
---print(#got.stdout) --> 4
---```
---@class green.process
local process = {}

---The words of a command; `cmd` may stand for the first one: `{ cmd = "ls", "-l" }`. Looked up in PATH.
---@alias green.process.command { cmd?: string, [integer]: string|number }

---@alias green.process.stdio
---| "pipe"    # ours to read or write (spawn only)
---| "inherit" # the one we have
---| "null"    # /dev/null

---@class green.process.options
---@field cwd? string folder to run in; default: ours
---@field env? table<string, string|number|false> changes to our environment; false: without that one
---@field clear_env? boolean begin with an empty environment; default false
---@field stdin? green.process.stdio default "null"
---@field stdout? green.process.stdio default "inherit"; capture: taken
---@field stderr? green.process.stdio|"stdout" "stdout": where stdout goes; default "inherit"; capture: taken
---@field group? boolean a session and process group of its own: it is killed with its own children, and is not reached by a ^C
---at the terminal; default false, capture: true

---@class green.process.run_options : green.process.options
---@field input? string what the child reads from stdin; it need not read all of it
---@field timeout? number seconds; 60; math.huge: none. ETIMEDOUT once over: the child is dead by then
---@field max_output? integer bytes, stdout and stderr together; 16 MiB. EMSGSIZE beyond: the child is dead by then

---@class green.process.result
---@field code? integer exit code; nil when a signal ended it
---@field signal? string the signal that ended it: "KILL"
---@field stdout? string capture only
---@field stderr? string capture only

---@class green.process.spawn_options : green.process.options
---@field keep? boolean it may outlive the task that starts it, as long as somebody refers to it; default false: it is ended
---(TERM, then KILL) with the task

---Starts a process.
---Does not wait.
---Raises: ENOENT, EACCES and the system's others.
---```lua
---local sort <close> = process.spawn({ "sort" }, { stdin = "pipe", stdout = "pipe" })
---task.spawn(function()
---  for _, name in ipairs { "b", "a" } do sort.stdin:write(name .. "\n") end
---  sort.stdin:close()
---end)
---print(table.concat({ sort.stdout:read "l", sort.stdout:read "l" }, " ")) --> a b
---```
---@param command green.process.command
---@param options? green.process.spawn_options
---@return green.Process
function process.spawn(command, options) end

---Runs a command to its end; its output is ours. It is killed when the task is cancelled.
---Waits.
---Raises: ETIMEDOUT and EMSGSIZE, the child is dead by then; ENOENT, EACCES and the system's others.
---```lua
---print(process.run({ "sh", "-c", "exit $N" }, { env = { N = 3 } }).code) --> 3
---```
---@param command green.process.command
---@param options? green.process.run_options
---@return green.process.result
function process.run(command, options) end

---Runs a command to its end and takes its output. It is over when the child has ended and both outputs are closed. It is
---killed, with all it started, when the task is cancelled.
---Waits.
---Raises: ETIMEDOUT and EMSGSIZE, the child is dead by then; ENOENT, EACCES and the system's others.
---```lua
---print(process.capture({ "tr", "a-z", "A-Z" }, { input = "hello" }).stdout) --> HELLO
---```
---@param command green.process.command
---@param options? green.process.run_options
---@return green.process.result
function process.capture(command, options) end

---A process that was spawned. `<close>` closes it.
---```lua
---local sleeper = process.spawn { "sleep", "60" }
---print(sleeper:kill "TERM", select(2, sleeper:wait())) --> true  TERM
---sleeper:close()
---```
---@class green.Process
---@field pid integer
---@field name string the first word of the command
---@field stdin? green.process.Writer when it is a "pipe"
---@field stdout? green.process.Reader when it is a "pipe"
---@field stderr? green.process.Reader when it is a "pipe"
local Process = {}

---How it ended; several tasks may ask, and again later.
---Waits until it has.
---Raises: ETIMEDOUT, and it goes on.
---@param timeout? number seconds; 60; math.huge: for ever
---@return integer? code nil when a signal ended it
---@return string? signal "TERM"
function Process:wait(timeout) end

---Sends a signal.
---Does not wait.
---Raises: an argument error for an unknown signal.
---@param signal? string|integer "TERM" (default), "SIGHUP", 9
---@return boolean sent false: it has ended
function Process:kill(signal) end

---Ends it: the pipes are closed, TERM, and KILL after the grace.
---Waits until it is gone; in a task that was cancelled, which may not wait, that happens behind its back.
---@param grace? number seconds; 5
function Process:close(grace) end

---Output of a child. When nobody reads, the child waits as soon as the pipe is full. One task at a time.
---```lua
---local child <close> = process.spawn({ "printf", "a\nb\nc" }, { stdout = "pipe" })
---print(child.stdout:read "l") --> a
---for line in child.stdout:lines() do io.write(line) end
---child.stdout:close()
---```
---@class green.process.Reader
local Reader = {}

---Bytes: nothing = what there is, a number = at most so many, or a format as in `file:read`. Nil at the end.
---Waits until there are some.
---Raises: ETIMEDOUT; EBUSY when another task reads.
---@param want? integer|"l"|"L"|"a"|"n"
---@param timeout? number seconds; 60
---@return string|number|nil
function Reader:read(want, timeout) end

---What `read` gives, until nil.
---Waits in the loop.
---Raises: as `read`, in the loop.
---@param format? "l"|"L"|"n" default "l"
---@param timeout? number seconds for each; 60
---@return fun(): string|number|nil
function Reader:lines(format, timeout) end

---A child that goes on writing gets SIGPIPE. A read that waits ends with ECANCELED.
---Does not wait.
function Reader:close() end

---Input of a child. Any number of tasks; each write arrives whole.
---```lua
---local cat <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "pipe" })
---cat.stdin:write "meow"
---cat.stdin:close()
---print(cat.stdout:read "a") --> meow
---```
---@class green.process.Writer
local Writer = {}

---Writes all of it. After a timeout or a cancel the rest still goes out.
---Waits until the pipe has taken it, so the child's pace is ours.
---Raises: EPIPE when nobody reads any more; ETIMEDOUT.
---@param bytes string
---@param timeout? number seconds; 60
function Writer:write(bytes, timeout) end

---The child sees the end of its input, after what is on its way.
---Does not wait.
function Writer:close() end

return process
