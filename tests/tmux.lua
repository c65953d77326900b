-- SPDX-License-Identifier: MIT
-- A real terminal for specs: a program in a window of tmux, keys sent to it, and what a person would see. Nothing here
-- sleeps for a while and hopes: what is expected on the screen is waited for.
local fs = require "green.fs"
local interpreter = require "interpreter"
local process = require "green.process"
local task = require "green.task"

local INIT = [[require("green.debug").report_stalls(false)]] -- a busy machine's, which would be on the screen
local PATIENCE = 100 -- seconds: less than the runner's limit, so that the screen is told

local Screen = {}
Screen.__index = Screen

function Screen:tmux(...)
  local got = process.capture({ "tmux", "-S", self.socket, "-f", "/dev/null", ... }, { timeout = PATIENCE, env = { TMUX = false } })
  assert(got.code == 0, got.stderr)
  return got.stdout
end

-- Characters as they are, and keys by the names tmux has for them.
function Screen:type(text) self:tmux("send-keys", "-l", "--", text) end
function Screen:keys(...) self:tmux("send-keys", ...) end

function Screen:line(text)
  self:type(text)
  self:keys "Enter"
end

function Screen:paste(text)
  fs.write(self.folder.path .. "/paste", text)
  self:tmux("load-buffer", self.folder.path .. "/paste")
  self:tmux("paste-buffer", "-p")
end

function Screen:resize(columns, rows) self:tmux("resize-window", "-x", tostring(columns), "-y", tostring(rows)) end

-- What is on the screen, without the empty lines at its end. `all`: and what has scrolled away.
function Screen:text(all)
  local text = all and self:tmux("capture-pane", "-p", "-S", "-5000") or self:tmux("capture-pane", "-p")
  return (text:gsub("%s+$", ""))
end

-- Waits until is(text) of the screen, or until its end is this text; the times that a prompt shows for slow lines may be missing in
-- it. Returns the text.
function Screen:until_(is, all)
  local wanted = is
  if type(is) == "string" then is = function(text) return text:sub(-#wanted) == wanted end end
  local late, text = task.now() + PATIENCE, nil
  repeat
    text = self:text(all)
    if is(text) then return text end
    local timeless = text:gsub("\n%([%d.]+ s%)", "")
    if is(timeless) then return timeless end
    task.sleep(0.02)
  until task.now() > late
  error(("%s did not come; the screen is:\n%s"):format(type(wanted) == "string" and ("%q"):format(wanted) or "what was expected", text), 2)
end

function Screen:shows(part, all)
  return self:until_(function(text) return text:find(part, 1, true) ~= nil end, all)
end

function Screen:close()
  pcall(self.tmux, self, "kill-server")
  self.folder:close()
end

Screen.__close = Screen.close

local M = {}

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- Starts greenlua with these arguments (a shell's words), in a folder that holds `files`. opts: columns, rows, env, folder.
function M.greenlua(arguments, opts)
  opts = opts or {}
  local self = setmetatable({ folder = fs.temp_dir() }, Screen)
  self.socket = self.folder.path .. "/tmux"
  for name, text in pairs(opts.files or {}) do fs.write(self.folder.path .. "/" .. name, text) end
  local env = { "LUA_INIT_5_4=" .. quote(INIT), "TERM=screen-256color", "HOME=" .. (opts.home or self.folder.path), "PS1=" }
  for name, value in pairs(opts.env or {}) do env[#env + 1] = name .. "=" .. quote(value) end
  local unset = "unset LUA_INIT XDG_CONFIG_HOME XDG_STATE_HOME NO_COLOR"
  local command = ("cd %s; %s; export %s; %s %s; echo \"exit $?\"; exec cat"):format(
    self.folder.path, unset, table.concat(env, " "), quote(interpreter), arguments)
  self:tmux("new-session", "-d", "-x", tostring(opts.columns or 80), "-y", tostring(opts.rows or 24), command)
  return self
end

return M
