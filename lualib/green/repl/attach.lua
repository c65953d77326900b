-- SPDX-License-Identifier: MIT
-- Internal.
-- `greenlua attach PATH` is a prompt in this process whose lines run in another one. The function returns the exit code.
local chunk = require "green.repl.chunk"
local frames = require "green.repl.frames"
local native = require "green.repl.native"
local safe = require "green.repl.safe"
local signal = require "green.signal"
local task = require "green.task"

local USAGE = [[
usage: greenlua attach PATH [-e LINE]...
A prompt inside the process that was started with --console PATH:
  greenlua --console /tmp/app.sock app.lua
  greenlua attach /tmp/app.sock
Or only these lines, as if they were typed there; the exit code is 1 if one fails:
  greenlua attach /tmp/app.sock -e .tasks -e '.cancel 12']]

local IMPATIENT = 3 -- the Ctrl-C of a line after which this process ends instead of passing it on

local function complain(text)
  io.stderr:write("greenlua: attach: ", text, "\n")
  return 1
end

local Client = {}
Client.__index = Client

local function show(text)
  if text == "" then return end
  io.stdout:write(text)
  io.stdout:flush()
end

local function as_it_is(text) return text or "" end

-- Returns the filter of the output. On a terminal control characters are made harmless, since the process may print what its clients sent; a
-- file or a pipe gets the output as it is.
local function filter() return require("green.reference.native").columns() and safe.new() or as_it_is end

-- Reads frames: output is written as it comes, also above a prompt, and answers go to the tasks that wait for them.
local function listen(client)
  local cleaned = filter()
  for kind, payload in client.wire.receive, client.wire do
    if kind == "O" then
      show(cleaned(payload))
    elseif kind == "D" or kind == "Q" then
      show(cleaned())
      client.lines:send(kind .. payload)
    elseif kind == "C" then
      client.completions:send(payload)
    end
  end
end

local function lost(client)
  pcall(listen, client)
  if client.leaving then return end
  if client.terminal then client.terminal:close() end
  io.stdout:flush()
  io.stderr:write "greenlua: attach: the process has closed the connection\n"
  os.exit(1)
end

local function pass_interrupts(client)
  for _ = 1, IMPATIENT do
    signal.wait "INT"
    client.wire:send "I"
  end
  os.exit(130)
end

--- Runs a line in the other process. Returns "quit" when the session is over.
function Client:eval(text)
  local columns = require("green.reference.native").columns() or 80
  local interrupts = task.spawn(pass_interrupts, self)
  task.sleep(0) -- lets the task begin to wait for the signal
  self.wire:send("L", string.pack(">I2B", columns, self.color and 1 or 0) .. text)
  local ended = self.lines:receive()
  interrupts:cancel()
  self.failed = ended == "Dfailed"
  return ended:sub(1, 1) ~= "D" and "quit" or nil
end

local function names_of(payload)
  local from, at = string.unpack(">I4", payload)
  local list = {}
  for name in payload:sub(at):gmatch "[^%z]+" do
    if not name:find "%c" then list[#list + 1] = name end
  end
  return from, list
end

function Client:complete(text)
  self.wire:send("T", text)
  return names_of((self.completions:receive(5)))
end

local function judge(text)
  if text:find "^%s*%.%a" then return "complete" end
  return (chunk.judge(text))
end

local function is_colourful()
  local no = os.getenv "NO_COLOR"
  return (no == nil or no == "") and os.getenv "TERM" ~= "dumb"
end

local function edit(client)
  client.color = is_colourful()
  require("green.repl.terminal").run(client.terminal, {
    judge = judge,
    eval = function(text) return client:eval(text) end,
    complete = function(text) return client:complete(text) end,
    prompts = function() return "> ", ">> " end,
  }, { color = client.color, interruptible = function() end })
end

-- Runs the lines of a pipe, or of a terminal without an editor, and shows their output only.
local function plain(client)
  local text
  for line in io.stdin:lines() do
    text = text and text .. "\n" .. line or line
    if judge(text) ~= "incomplete" then
      if client:eval(text) == "quit" then return end
      text = nil
    end
  end
  if text then client:eval(text) end
end

-- Runs the lines of -e. Returns whether none has failed.
local function run_lines(client, lines)
  for _, line in ipairs(lines) do
    if client:eval(line) == "quit" then break end
    if client.failed then return false end
  end
  return true
end

local function run(path, given)
  local ok, wire = pcall(frames.connect, path)
  if not ok then return complain(("%s: %s"):format(path, (tostring(wire):gsub("^.*: ?", "")))) end
  local user = wire.socket:user()
  if user ~= native.user() then return complain(("%s: whoever listens there is another user (%s)"):format(path, user)) end
  local kind, hello = wire:receive()
  if kind ~= "H" then return complain(path .. ": the process does not let us in") end
  local client = setmetatable({ wire = wire, lines = task.channel(1), completions = task.channel(1) }, Client)
  client.terminal = #given == 0 and os.getenv "TERM" ~= "dumb" and native.open() or nil
  local listening, fine = task.spawn(lost, client), true
  if #given > 0 then
    fine = run_lines(client, given)
  elseif client.terminal then
    show(filter()(hello .. "\n"))
    edit(client)
  else
    plain(client)
  end
  client.leaving = true
  wire:close()
  listening:cancel()
  return fine and 0 or 1
end

-- Returns the path and the lines of -e; or nil and what is wrong with the arguments.
local function parse(args)
  local path, given, at = nil, {}, 1
  while args[at] do
    local word = args[at]
    if word == "-e" and not args[at + 1] then return nil, "'-e' needs argument" end
    if word:sub(1, 2) == "-e" then
      if word == "-e" then at = at + 1 end
      given[#given + 1] = word == "-e" and args[at] or word:sub(3)
    elseif word:sub(1, 1) == "-" then
      return nil, ("unrecognized option '%s'"):format(word)
    elseif path then
      return nil, "one path expected"
    else
      path = word
    end
    at = at + 1
  end
  return path, path and given or "one path expected"
end

return function(...)
  if ... == "--help" then
    print(USAGE)
    return 0
  end
  local path, given = parse { ... }
  if not path then return complain(given .. "\n" .. USAGE) end
  return run(path, given)
end
