-- SPDX-License-Identifier: MIT
-- Internal.
-- The interactive mode line by line, as lua has it. Each chunk runs in the prompt's task and may wait; other tasks go on while it waits, and
-- while a person types. The functions used here are locals, so that a chunk may change any global without breaking the prompt.
local _G, io, load, pcall, select, tostring, type, xpcall = _G, io, load, pcall, select, tostring, type, xpcall

local function prompt(name, default)
  local value = _G[name]
  return value == nil and default or tostring(value)
end

-- Asks for a line and returns it, nil at the end; later lines stay for io.read. With `echo` a line that does not come from a terminal is
-- shown, so that the output reads as if a person had typed it.
local function ask(question, echo)
  io.stdout:write(question)
  io.stdout:flush()
  local line = io.stdin:read "l"
  if line and echo then io.stdout:write(line, "\n") end
  return line
end

local function is_incomplete(message)
  return type(message) == "string" and message:sub(-5) == "<eof>"
end

-- Reads a chunk: an expression, which returns its values, or a statement, which may take several lines. Returns nil at the end of input.
local function read_chunk(echo)
  local text = ask(prompt("_PROMPT", "> "), echo)
  if not text then return nil end
  if text:sub(1, 1) == "=" then text = "return " .. text:sub(2) end
  local chunk = load("return " .. text, "=stdin", "t")
  if chunk then return chunk end
  while true do
    local message
    chunk, message = load(text, "=stdin", "t")
    if chunk or not is_incomplete(message) then return chunk or false, message end
    local more = ask(prompt("_PROMPT2", ">> "), echo)
    if not more then return false, message end
    text = text .. "\n" .. more
  end
end

local function report(message)
  io.stdout:flush()
  io.stderr:write(message, "\n")
end

-- Cuts the frames below the chunk, which are this file's, off a traceback.
local function trim(message)
  return (message:gsub("\n\t%[C%]: in function 'xpcall'\n\tgreen:green/repl/plain%.lua:.*", "\n\t[C]: in ?"))
end

local function show(ok, ...)
  if not ok then return report(trim(...)) end
  if select("#", ...) == 0 then return end
  local printed, message = pcall(_G.print, ...)
  if not printed then report(("error calling 'print' (%s)"):format(message)) end
end

local M = { prompt = prompt, ask = ask }

-- Reads and runs chunks until the end of input. handler(error) returns the text that is shown, as for scripts; interruptible(on) makes Ctrl-C
-- an error or the end; `echo` says that the input is no terminal.
function M.run(handler, interruptible, echo)
  while true do
    interruptible(false)
    local chunk, message = read_chunk(echo)
    if chunk == nil then break end
    interruptible(true)
    if chunk then show(xpcall(chunk, handler))
    else report(message) end
  end
  io.stdout:write "\n"
end

return M
