-- SPDX-License-Identifier: MIT
-- Internal.
-- A session is a prompt without its terminal: it has an environment and the variables of its lines, and runs each line in a task of its
-- own, which Ctrl-C can end. The front end reads the lines and writes the text.
local chunk = require "green.repl.chunk"
local commands = require "green.repl.commands"
local names = require "green.repl.names"
local native = require "green.repl.native"
local pretty = require "green.repl.pretty"
local task = require "green.task"

local SLOW = 0.5 -- seconds from which on a line shows its time

local Session = { __name = "green.repl.Session" }
Session.__index = Session

-- ---- the environment: the real globals, what the session adds, and modules at hand ----

local function environment(values)
  return setmetatable({}, {
    __index = function(_, name)
      local value = values[name]
      if value == nil then value = _G[name] end
      if value == nil and names.modules[name] then value = names.module(name) end
      return value
    end,
    __newindex = function(_, name, value)
      if values[name] ~= nil then values[name] = value else _G[name] = value end
    end,
    __pairs = function() return pairs(_G) end,
  })
end

-- Sets `app` to the app that is served when a reload has put another one in its place. Between reloads a line may assign `app`.
local function follow(self)
  local app = self.served and self.served.app()
  if app == self.app then return end
  self.app, self.values.app = app, app
end

--- Makes a session. `opts` holds write(text) and handler(error) -> the text that is shown, and may hold color, width() -> columns, values (of
--- the environment), served (the app for .routes and .reload) and interruptible(on).
function Session.new(opts)
  local values = opts.values or {}
  values.help = values.help or require("green.reference").help
  local self = setmetatable({
    env = environment(values), values = values, locals = {}, write = opts.write, handler = opts.handler,
    color = opts.color, width = opts.width or function() return 80 end, served = opts.served,
    interruptible = opts.interruptible or function() end,
  }, Session)
  follow(self)
  return self
end

-- ---- what is said ----

function Session:dim(text) return self.color and ("\27[2m%s\27[0m"):format(text) or text end

function Session:pretty(value) return pretty.text(value, { color = self.color, width = self.width() }) end

local function is_plain(value) return type(value) ~= "table" end

--- Shows the values of an expression and sets `_` to the first one.
function Session:show(results)
  if results.n == 0 then return end
  self.values._ = results[1]
  local texts, plain = {}, true
  for i = 1, results.n do
    texts[i] = self:pretty(results[i])
    plain = plain and is_plain(results[i]) and #texts[i] < 200
  end
  self.write(table.concat(texts, plain and "\t" or "\n") .. "\n")
end

-- Cuts the frames below the line, which are this file's, off a traceback, and calls the line a main chunk, though it is compiled as a function.
local function trim(message)
  message = message:gsub("\n\t%[C%]: in function 'xpcall'\n\tgreen:green/repl/session%.lua:.*", "")
  return (message:gsub("in function <stdin:%d+>", "in main chunk"):gsub("\nstack traceback:$", ""))
end

function Session:complain(message)
  self.complained = true
  if not self.color then return self.write(message .. "\n") end
  local first, rest = message:match "^(.-)(\nstack traceback:.*)$"
  self.write(("\27[31m%s\27[0m%s\n"):format(first or message, rest and self:dim(rest) or ""))
end

-- ---- running ----

local function run(session, fn, ...)
  session.line = native.begin_line()
  session.interruptible(true)
  if session.early then native.interrupt_line(session.line) end -- Ctrl-C came before the line had begun
  session.early = false
  local began = task.now()
  local results = table.pack(xpcall(fn, session.handler, ...))
  return results, task.now() - began
end

--- Runs fn(...) as a line, in a task of its own. Returns the packed results, or nil when fn failed and the error was shown; and the seconds
--- that fn took.
function Session:call(fn, ...)
  local line = task.spawn(run, self, fn, ...)
  self.running = line
  local ok, results, seconds = pcall(line.join, line)
  self.running, self.line = nil, nil
  self.interruptible(false) -- the line may have ended before its own call of this
  if not ok then self:complain(tostring(results)) return nil, 0 end
  if results[1] then
    table.remove(results, 1)
    results.n = results.n - 1
    return results, seconds
  end
  self:complain(trim(tostring(results[2])))
  return nil, seconds
end

--- Handles Ctrl-C: interrupts the line and the tasks that it started, and nothing else.
function Session:interrupt()
  if self.line then native.interrupt_line(self.line) else self.early = true end
end

-- Runs a piece of a line and shows its values. Showing runs as a line, too, since __tostring may wait, fail and be interrupted.
function Session:run_piece(text)
  local fn, problem = chunk.compile(self, text)
  if not fn then
    self:complain(problem)
    return false
  end
  local results, seconds = self:call(fn)
  if not results then return false end
  local shown = results.n == 0 or self:call(self.show, self, results) ~= nil
  if seconds >= SLOW then self.write(self:dim(("(%.3g s)"):format(seconds)) .. "\n") end
  return shown
end

--- Runs a typed text: a command, or Lua, which may be several statements one after the other. Returns "quit" when a command asked for
--- that.
function Session:eval(text)
  follow(self)
  if text:find "^%s*%.%a" then return commands.run(self, text) end
  if not text:find "%S" then return end
  for _, piece in ipairs(chunk.split(text)) do
    if not self:run_piece(piece) then return end
  end
end

--- Runs a file in the environment of the session. Returns whether it ran without an error.
function Session:load(path)
  local fn, problem = loadfile(path, "t", self.env)
  if not fn then
    self:complain(problem)
    return false
  end
  return self:call(fn, path) ~= nil
end

--- Tells whether a typed text is a whole line: returns "complete", "incomplete" or "wrong".
function Session.judge(text)
  if text:find "^%s*%.%a" then return "complete" end
  return (chunk.judge(text))
end

return Session
