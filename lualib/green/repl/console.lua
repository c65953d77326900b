-- SPDX-License-Identifier: MIT
-- Internal.
-- --console PATH opens prompts inside a process that serves: one for each connection to a unix socket that only the process's user may
-- open. Output and errors of a line go to the console at which the line was typed.
local complete = require "green.repl.complete"
local frames = require "green.repl.frames"
local native = require "green.repl.native"
local net = require "green.net"
local Session = require "green.repl.session"
local task = require "green.task"

local M = {}

local MOST = 64        -- consoles at once
local PIECE = 256 << 10 -- bytes of output per frame

-- ---- what a line finds ----

local function over(module, fields) return setmetatable(fields, { __index = module }) end

local function joined(...)
  local texts = table.pack(...)
  for i = 1, texts.n do texts[i] = tostring(texts[i]) end
  return table.concat(texts, "\t")
end

-- Returns print, io, os and help for a console: they write to the console instead of stdout, and os.exit leaves the console only.
local function values(console)
  local function write(_, ...)
    for _, text in ipairs { ... } do console.write(tostring(text)) end
    return console.stdout
  end
  console.stdout = over({}, { write = write, flush = function(self) return self end, close = function() end, setvbuf = function() end })
  return {
    print = function(...) console.write(joined(...) .. "\n") end,
    io = over(io, { write = function(...) return write(nil, ...) end, stdout = console.stdout }),
    os = over(os, { exit = function() console.leave() end }),
    help = function(...)
      if select("#", ...) > 0 and (...) == nil then return console.write "nothing is known about nil; help() lists the modules\n" end
      local text = require("green.reference").text((...), { color = console.session.color, width = console.columns })
      console.write(text .. "\n")
    end,
  }
end

-- ---- a console ----

local function new_console(wire, served, handler)
  local console = { wire = wire, served = served, columns = 80 }
  function console.write(text)
    for at = 1, #text, PIECE do wire:send("O", text:sub(at, at + PIECE - 1)) end
  end
  function console.leave()
    wire:send "Q"
    wire:close()
  end
  console.session = Session.new {
    write = console.write, handler = handler, served = served, width = function() return console.columns end, values = values(console),
  }
  return console
end

local function run_line(console, payload)
  local columns, colour, at = string.unpack(">I2B", payload)
  console.columns, console.session.color = math.max(columns, 20), colour == 1
  console.session.complained = false
  local ok, result = pcall(console.session.eval, console.session, payload:sub(at))
  if not ok then console.write(tostring(result) .. "\n") end
  console.busy, console.session.early = false, false
  local failed = not ok or console.session.complained
  console.wire:send(result == "quit" and "Q" or "D", failed and "failed" or "")
end

local function answer_tab(console, text)
  local ok, from, list = pcall(complete.at, console.session, text)
  if not ok then from, list = #text + 1, {} end
  console.wire:send("C", string.pack(">I4", from) .. table.concat(list, "\0"))
end

-- Ends the line that still runs when its console is gone, as a terminal's hang-up would. The first interrupt raises an error in the line;
-- the second one cancels a line that has caught the error.
local function hang_up(console)
  console.wire:close()
  console.session:interrupt()
  console.session:interrupt()
end

local function converse(console)
  local wire = console.wire
  wire:send("H", ("attached to %s, process %d"):format(console.served.name, native.pid()))
  for kind, payload in wire.receive, wire do
    if kind == "L" and not console.busy then
      console.busy = true
      task.spawn(run_line, console, payload)
    elseif kind == "T" then
      answer_tab(console, payload)
    elseif kind == "I" then
      if console.busy then console.session:interrupt() end
    end
  end
end

-- ---- all of them ----

local function is_ours(socket) return socket:user() == native.user() end

local function serve(state, socket, served, handler)
  state.open = state.open + 1
  local console = new_console(frames.new(socket), served, handler)
  pcall(converse, console)
  hang_up(console)
  state.open = state.open - 1
end

local function accept_all(listener, served, handler)
  local state = { open = 0 }
  while true do
    local socket = listener:accept(math.huge)
    if is_ours(socket) and state.open < MOST then task.spawn(serve, state, socket, served, handler)
    else socket:close() end
  end
end

local function traceback(err)
  if type(err) == "string" then return debug.traceback(err, 2) end
  return debug.traceback(tostring(err), 2)
end

--- Listens at a path, and returns a function that stops. Raises when the path cannot be listened on. `served` holds name, app() -> the app, and
--- perhaps reload().
function M.start(path, served, handler)
  local listener = net.listen("unix:" .. path, { mode = "600" })
  local accepting = task.spawn(function() pcall(accept_all, listener, served, handler or traceback) end)
  return function()
    listener:close()
    accepting:cancel()
  end
end

return M
