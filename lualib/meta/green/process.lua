---@meta green.process
-- SPDX-License-Identifier: MIT

---Child processes. A command is a list of words, so nothing needs quoting; for the shell it is `{ "sh", "-c", "..." }`.
---
---    local got = process.capture { "sort", "-u", "names.txt" }
---    assert(got.code == 0, got.stderr)
---    print(got.stdout)
---
---Nothing is left behind: `run` and `capture` kill the child on every way out but its own end, a `<close>` variable
---ends its process, one that was spawned ends with its task at the latest, and a process nobody refers to any more is killed. Signal handlers of children are the default
---ones, and they inherit no descriptor but the three.
---
---Errors name the command: "process.spawn: nosuch: no such file or directory" (ENOENT).
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

---Start a process. Does not wait.
---
---    local sort <close> = process.spawn({ "sort" }, { stdin = "pipe", stdout = "pipe" })
---    task.spawn(function()
---      for _, name in ipairs { "b", "a" } do sort.stdin:write(name .. "\n") end
---      sort.stdin:close()
---    end)
---    for line in sort.stdout:lines() do print(line) end
---@param command green.process.command
---@param options? green.process.spawn_options
---@return green.Process
function process.spawn(command, options) end

---Run a command to its end; its output is ours. Waits. Killed when the task is cancelled.
---
---    assert(process.run { "make", "-j4" }.code == 0)
---@param command green.process.command
---@param options? green.process.run_options
---@return green.process.result
function process.run(command, options) end

---Run a command to its end and take its output. It is over when the child has ended and both outputs are closed.
---Waits. Killed, with all it started, when the task is cancelled.
---@param command green.process.command
---@param options? green.process.run_options
---@return green.process.result
function process.capture(command, options) end

---A process that was spawned. `<close>` closes it.
---@class green.Process
---@field pid integer
---@field name string the first word of the command
---@field stdin? green.process.Writer when it is a "pipe"
---@field stdout? green.process.Reader when it is a "pipe"
---@field stderr? green.process.Reader when it is a "pipe"
local Process = {}

---Wait until it has ended; several tasks may, and again later. Raises ETIMEDOUT: it goes on then.
---@param timeout? number seconds; 60; math.huge: for ever
---@return integer? code nil when a signal ended it
---@return string? signal "TERM"
function Process:wait(timeout) end

---Send a signal. Never waits.
---@param signal? string|integer "TERM" (default), "SIGHUP", 9
---@return boolean sent false: it has ended
function Process:kill(signal) end

---End it: close the pipes, TERM, and KILL after the grace. Waits until it is gone; in a task that was cancelled, which may
---not wait, that happens behind its back.
---@param grace? number seconds; 5
function Process:close(grace) end

---Output of a child. When nobody reads, it waits as soon as the pipe is full. One task at a time (EBUSY).
---@class green.process.Reader
local Reader = {}

---Wait for bytes: nothing = what there is, a number = at most so many, or a format as in `file:read`. Nil at the end.
---@param want? integer|"l"|"L"|"a"|"n"
---@param timeout? number seconds; 60
---@return string|number|nil
function Reader:read(want, timeout) end

---What `read` gives, until nil.
---@param format? "l"|"L"|"n" default "l"
---@param timeout? number seconds for each; 60
---@return fun(): string|number|nil
function Reader:lines(format, timeout) end

---A child that goes on writing gets SIGPIPE. A read that waits ends with ECANCELED.
function Reader:close() end

---Input of a child. Any number of tasks; each write arrives whole.
---@class green.process.Writer
local Writer = {}

---Returns when the pipe has taken all of it, so the child's pace is ours. EPIPE: nobody reads any more. After a timeout or a
---cancel the rest still goes out.
---@param bytes string
---@param timeout? number seconds; 60
function Writer:write(bytes, timeout) end

---The child sees the end of its input, after what is on its way. Never waits.
function Writer:close() end

return process
