-- SPDX-License-Identifier: MIT
-- Internal.
-- This file runs commands: lines that begin with a dot, as no Lua does.
local M = {}

local list = {}

local function command(name, argument, text, run)
  list[#list + 1] = { name = name, argument = argument, text = text, run = run }
end

local KEYS = {
  { "Tab", "complete globals, fields, methods, modules and files" },
  { "Up, Down", "lines typed before; Ctrl-R searches them" },
  { "Alt-Enter", "a new line; a statement that is not complete gets one by itself" },
  { "Ctrl-C", "clear the line, or end what it runs and what that has started" },
  { "Ctrl-D", "leave" },
}

command("help", nil, "show this", function(session)
  local lines = {}
  for _, one in ipairs(list) do
    lines[#lines + 1] = ("  %-14s%s"):format(("." .. one.name .. (one.argument and " " .. one.argument or "")), one.text)
  end
  lines[#lines + 1] = ""
  for _, key in ipairs(KEYS) do lines[#lines + 1] = ("  %-14s%s"):format(key[1], key[2]) end
  lines[#lines + 1] = "\n_ is the last value; help() and help(http.get) show the reference."
  session.write(table.concat(lines, "\n") .. "\n")
end)

local function seconds(value) return ("%.1f s"):format(value) end

-- "task 12, 3.0 s old, 0.001 s of CPU, GET /orders, waits for task.sleep since 2.9 s, at app.lua:3"
local function described(one)
  local what = one.waits_for and ("waits for %s since %s"):format(one.waits_for, seconds(one.since)) or one.state
  local where = one.line ~= "" and ", at " .. one.line or ""
  return ("task %d, %s old, %.3f s of CPU, %s, %s%s"):format(one.id, seconds(one.age), one.cpu, one.name, what, where)
end

command("tasks", nil, "what every task is doing", function(session)
  for _, one in ipairs(require("green.debug").tasks()) do session.write("  " .. described(one) .. "\n") end
end)

-- Returns the number of a task that is alive, as it was typed; else nil, and the session was told what is wrong.
local function task_number(session, name, text)
  local id = math.tointeger(tonumber(text:match "^%d+$"))
  if not id then return session:complain((".%s: the number of which task? .tasks lists them"):format(name)) end
  for _, one in ipairs(require("green.debug").tasks()) do
    if one.id == id then return one end
  end
  session:complain((".%s: there is no task %d (any more)"):format(name, id))
end

command("trace", "N", "the stack of a task, with its variables", function(session, text)
  local one = task_number(session, "trace", text)
  if not one then return end
  local stack = require("green.repl.stack").text(one.id)
  if not stack then return session:complain((".trace: task %d has not begun, or has ended"):format(one.id)) end
  session.write(described(one) .. "\n" .. (stack ~= "" and stack .. "\n" or ""))
end)

command("cancel", "N", "end a task: what it waits for raises ECANCELED", function(session, text)
  local one = task_number(session, "cancel", text)
  if not one then return end
  if not require("green.debug").cancel(one.id) then return session:complain((".cancel: task %d has ended"):format(one.id)) end
  session.write(("task %d is cancelled: %s\n"):format(one.id, one.name))
end)

command("routes", nil, "the routes of the app that is served", function(session)
  local app = session.served and session.served.app()
  if not app then return session:complain "no app is served here: greenlua -i app.lua, or greenlua attach" end
  if type(app) == "function" then return session.write "  one function answers every request\n" end
  local rows = {}
  for _, route in ipairs(app:routes()) do rows[#rows + 1] = ("  %-8s%s"):format(route.method, route.path) end
  session.write(#rows > 0 and table.concat(rows, "\n") .. "\n" or "  none yet\n")
end)

command("load", "FILE", "run a file in this environment", function(session, path)
  if path == "" then return session:complain ".load: which file?" end
  session:load(path)
end)

command("reload", nil, "run the app's file again, for the next requests", function(session)
  local reload = session.served and session.served.reload
  if not reload then return session:complain "there is nothing to reload: no file is served" end
  if session:call(reload) then session.write "reloaded\n" end
end)

command("time", "EXPR", "how long it takes", function(session, text)
  local fn, problem = require("green.repl.chunk").compile(session, text)
  if not fn then return session:complain(problem) end
  local results, took = session:call(fn)
  if not results then return end
  if results.n > 0 then session:call(session.show, session, results) end
  local unit = took < 1e-3 and ("%.3g us"):format(took * 1e6) or took < 1 and ("%.3g ms"):format(took * 1e3) or ("%.3g s"):format(took)
  session.write(session:dim(unit) .. "\n")
end)

command("quit", nil, "leave", function() return "quit" end)

local function starts_with(text, prefix) return text:sub(1, #prefix) == prefix end

--- Returns the commands that begin so: ".re" gives { ".reload" }.
function M.matching(prefix)
  local names = {}
  for _, one in ipairs(list) do
    if starts_with("." .. one.name, prefix) then names[#names + 1] = "." .. one.name end
  end
  return names
end

--- Runs a line that is a command, or the unambiguous beginning of one. Returns "quit" when the session is over.
function M.run(session, text)
  local name, argument = text:match "^%s*%.(%a+)%s*(.*)$"
  argument = argument:match "^(.*%S)" or ""
  local names = M.matching("." .. name)
  for _, one in ipairs(list) do
    if one.name == name or (#names == 1 and names[1] == "." .. one.name) then return one.run(session, argument) end
  end
  session:complain(("no command '.%s'; .help lists them"):format(name))
end

return M
