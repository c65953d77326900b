-- SPDX-License-Identifier: MIT
-- Internal.
-- The interactive mode has an editor on a terminal, reads plain lines on a dumb one, and is lua's own where there is no terminal.
local io, os, pcall, require = io, os, pcall, require
local plain = require "green.repl.plain"
local ask, prompt = plain.ask, plain.prompt

local function is_colourful()
  local no = os.getenv "NO_COLOR"
  return (no == nil or no == "") and os.getenv "TERM" ~= "dumb"
end

local function init_file()
  local config = os.getenv "XDG_CONFIG_HOME"
  if config and config ~= "" then return config .. "/greenlua/init.lua" end
  local home = os.getenv "HOME"
  return home and home ~= "" and home .. "/.config/greenlua/init.lua" or nil
end

local function run_init(session)
  local path = init_file()
  if path and require("green.fs").exists(path) then session:load(path) end
end

local function new_session(opts, terminal, served)
  local columns = require("green.reference.native").columns
  local session = require("green.repl.session").new {
    write = function(text)
      io.stdout:write(text)
      io.stdout:flush()
    end,
    handler = opts.handler, interruptible = opts.interruptible, served = served,
    color = terminal and is_colourful(), width = function() return columns() or 80 end,
  }
  if not opts.noenv then run_init(session) end
  return session
end

local function edited(terminal, session, opts)
  local complete = require("green.repl.complete").at
  require("green.repl.terminal").run(terminal, {
    judge = session.judge,
    eval = function(text) return session:eval(text) end,
    complete = function(text) return complete(session, text) end,
    prompts = function() return prompt("_PROMPT", "> "), prompt("_PROMPT2", ">> ") end,
  }, { color = session.color, interruptible = opts.interruptible })
end

-- Runs a session on a terminal that can only show lines.
local function dumb(session)
  while true do
    local text = ask(prompt("_PROMPT", "> "))
    while text and session.judge(text) == "incomplete" do
      local more = ask(prompt("_PROMPT2", ">> "))
      if not more then break end
      text = text .. "\n" .. more
    end
    if not text or session:eval(text) == "quit" then break end
  end
  io.stdout:write "\n"
end

local function interact(opts, served)
  local native = require "green.repl.native"
  local terminal = os.getenv "TERM" ~= "dumb" and native.open() or nil
  if terminal then return edited(terminal, new_session(opts, true, served), opts) end
  if not opts.piped then return dumb(new_session(opts, false, served)) end
  plain.run(opts.handler, opts.interruptible, opts.piped)
end

--- Runs the interactive mode. `opts` holds handler(error) -> the text that is shown, as for scripts; interruptible(on), which makes Ctrl-C an
--- error in the running task or the end; piped: stdin is no terminal; noenv: -E was given; and, for a script's app that is served
--- meanwhile, app, listen, grace and name.
return function(opts)
  if opts.app == nil then return interact(opts) end
  local serving = require("green.serve").start(opts.app, opts)
  if not serving then return 1 end
  local ok, err = pcall(interact, opts, serving)
  serving.stop()
  if not ok then error(err, 0) end
end
