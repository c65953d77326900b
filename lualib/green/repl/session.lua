-- SPDX-License-Identifier: MIT
-- Internal.
-- What a prompt is worth without a terminal: an environment, the variables of its lines, and running a line in a task of its
-- own, so that Ctrl-C has something to end. Where lines come from and where text goes is the front end's.
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

-- `app` is what is served, also once another has taken its place; unless a line says otherwise.
local function follow(self)
  local app = self.served and self.served.app()
  if app == self.app then return end
  self.app, self.values.app = app, app
end

--- opts: write(text), handler(error) -> what is shown of it; may have: color, width() -> columns, values (of its
--- environment), served (what .routes and .reload are about), interruptible(on).
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

--- The values of an expression; `_` is the first one.
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

-- What lies below the line in a traceback is this file, which nobody asked for; and a line is compiled as a function.
local function trim(message)
  message = message:gsub("\n\t%[C%]: in function 'xpcall'\n\tgreen:green/repl/session%.lua:.*", "")
  return (message:gsub("in function <stdin:%d+>", "in main chunk"):gsub("\nstack traceback:$", ""))
end

function Session:complain(message)
  if not self.color then return self.write(message .. "\n") end
  local first, rest = message:match "^(.-)(\nstack traceback:.*)$"
  self.write(("\27[31m%s\27[0m%s\n"):format(first or message, rest and self:dim(rest) or ""))
end

-- ---- running ----

local function run(session, fn, ...)
  session.line = native.begin_line()
  session.interruptible(true)
  if session.early then native.interrupt_line(session.line) end -- it came before there was a line
  session.early = false
  local began = task.now()
  local results = table.pack(xpcall(fn, session.handler, ...))
  return results, task.now() - began
end

--- Runs fn(...) as a line, in a task of its own: its results packed, or nil when it failed and that was told; and the
--- seconds it took.
function Session:call(fn, ...)
  local line = task.spawn(run, self, fn, ...)
  self.running = line
  local ok, results, seconds = pcall(line.join, line)
  self.running, self.line = nil, nil
  self.interruptible(false) -- also when it was ended before it could say so
  if not ok then self:complain(tostring(results)) return nil, 0 end
  if results[1] then
    table.remove(results, 1)
    results.n = results.n - 1
    return results, seconds
  end
  self:complain(trim(tostring(results[2])))
  return nil, seconds
end

--- Ctrl-C: for what the line started, and nothing else.
function Session:interrupt()
  if self.line then native.interrupt_line(self.line) else self.early = true end
end

-- Showing calls __tostring, which may wait, fail and be interrupted as anything else.
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

--- Runs what was typed: a command, or Lua, which may be several statements one after the other. "quit" when that
--- was asked for.
function Session:eval(text)
  follow(self)
  if text:find "^%s*%.%a" then return commands.run(self, text) end
  if not text:find "%S" then return end
  for _, piece in ipairs(chunk.split(text)) do
    if not self:run_piece(piece) then return end
  end
end

--- A file's chunk in the environment of the session. True when it ran.
function Session:load(path)
  local fn, problem = loadfile(path, "t", self.env)
  if not fn then
    self:complain(problem)
    return false
  end
  return self:call(fn, path) ~= nil
end

--- Is what was typed a line, or does it need more? "complete", "incomplete", "wrong".
function Session.judge(text)
  if text:find "^%s*%.%a" then return "complete" end
  return (chunk.judge(text))
end

return Session
