-- SPDX-License-Identifier: MIT
-- Internal.
-- A prompt on a terminal reads keys on the loop, shows the editor's text, and hands lines to its backend. Other tasks run meanwhile, and
-- their output goes above the prompt (host/sys/terminal.c).
local Editor = require "green.repl.editor"
local History = require "green.repl.history"
local keys = require "green.repl.keys"
local picture = require "green.repl.picture"
local signal = require "green.signal"
local task = require "green.task"
local width = require "green.repl.width"

local M = {}

local PASTE_ON, PASTE_OFF = "\27[?2004h", "\27[?2004l"
local REST = 0.05 -- seconds to wait for the rest of a key; then an escape is the key Esc
local NUMBER = { HUP = 1, TERM = 15 }

local Prompt = {}
Prompt.__index = Prompt

-- ---- showing ----

function Prompt:prompts()
  local search = self.editor.search
  if search then return ("(%s'%s') "):format(search.failed and "not found: " or "search ", search.text), "  " end
  return self.first, self.second
end

function Prompt:opts()
  local columns, lines = self.terminal:size()
  local first, second = self:prompts()
  return { text = self.editor.text, cursor = self.editor.cursor, prompt = first, prompt2 = second, columns = columns,
    lines = lines, color = self.color, prompt_colour = "\27[1m" }
end

function Prompt:show()
  local opts = self:opts()
  local erase_now = self.shape and opts.columns ~= self.columns and picture.eraser(self.shape, opts.columns) or nil
  local drawn, shape = picture.draw(opts)
  self.terminal:show(drawn, picture.eraser(shape, opts.columns), erase_now)
  self.shape, self.columns = shape, opts.columns
end

function Prompt:hide()
  self.terminal:hide()
  self.shape = nil
end

-- Leaves the text on the screen, with `mark` behind it, and ends the editing.
function Prompt:leave(mark)
  self.editor.search = nil
  local opts = self:opts()
  self:hide()
  if mark then opts.text = opts.text .. mark end
  opts.cursor = #opts.text
  self.terminal:write(picture.whole(opts))
end

-- ---- completion ----

local function common_prefix(list)
  local prefix = list[1]
  for _, name in ipairs(list) do
    while name:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
  end
  return prefix
end

local function in_columns(list, columns)
  local widest = 0
  for _, name in ipairs(list) do widest = math.max(widest, width.columns(name)) end
  local per_line = math.max(1, columns // (widest + 2))
  local lines = (#list + per_line - 1) // per_line
  local out = {}
  for line = 1, lines do
    local cells = {}
    for i = line, #list, lines do cells[#cells + 1] = list[i] .. (" "):rep(widest + 2 - width.columns(list[i])) end
    out[line] = table.concat(cells):match "^(.*%S)" or ""
  end
  return table.concat(out, "\r\n") .. "\r\n"
end

function Prompt:complete()
  local editor = self.editor
  local ok, from, list = pcall(self.backend.complete, editor.text:sub(1, editor.cursor))
  if not ok or #list == 0 then return end
  local prefix = common_prefix(list)
  local typed = editor.cursor - from + 1
  if #prefix > typed then return editor:replace(from - 1, editor.cursor, prefix) end
  if #list == 1 then return end
  self:hide()
  self.terminal:write(picture.whole(self:opts()) .. in_columns(list, (self.terminal:size())))
end

-- ---- reading a line ----

local ACTIONS = {}

function ACTIONS.enter(self)
  if self.backend.judge(self.editor.text) == "incomplete" then
    self.editor.cursor = #self.editor.text
    self.editor:newline()
    return
  end
  self:leave()
  return self.editor.text
end

function ACTIONS.eof(self)
  self:leave()
  return false
end

function ACTIONS.interrupt(self)
  self:leave "^C"
  self.editor:reset()
end

function ACTIONS.complete(self) self:complete() end

function ACTIONS.clear(self)
  self:hide()
  self.terminal:write "\27[H\27[2J"
end

function ACTIONS.suspend(self)
  self:hide()
  self.terminal:write(PASTE_OFF)
  self.terminal:raw(false)
  self.terminal:suspend()
  self.terminal:raw(true)
  self.terminal:write(PASTE_ON)
end

-- Handles the keys that have been read. Returns the text of a complete line, false at the end of input, nil when more keys are needed.
function Prompt:take(all)
  while self.bytes ~= "" do
    local key, following, text = keys.at(self.bytes, 1, all)
    if not key then return nil end
    local stop = following
    if key == "char" then -- a run of characters is inserted at once
      local run = self.bytes:match "^[\32-\126]+"
      if run then text, stop = run, #run + 1 end
    end
    self.bytes = self.bytes:sub(stop)
    local action = self.editor:key(key, text)
    local line = action and ACTIONS[action](self)
    if line ~= nil then return line end
  end
end

-- Reads more bytes. Returns false when the terminal is gone, else true, and whether the time-out passed without bytes.
function Prompt:read_more(timeout)
  local ok, bytes = pcall(self.terminal.read, self.terminal, timeout)
  if ok and not bytes then return false end
  if ok then
    self.bytes = self.bytes .. bytes
  elseif type(bytes) == "table" and bytes.code == "ETIMEDOUT" then
    return true, true
  elseif type(bytes) == "string" then -- another process sent SIGINT
    ACTIONS.interrupt(self)
  else
    error(bytes, 0)
  end
  return true
end

local function is_pasting(bytes) return bytes:find("^\27%[200~") ~= nil end

function Prompt:edit()
  local line = self:take(false)
  while line == nil do
    if not is_pasting(self.bytes) then self:show() end
    self.interruptible(true)
    local waits = self.bytes ~= "" and not is_pasting(self.bytes) and REST or nil
    local there, late = self:read_more(waits)
    self.interruptible(false)
    if not there then return false end
    line = self:take(late)
  end
  return line
end

--- Reads a line and returns it, nil at the end of input.
function Prompt:line()
  self.first, self.second = self.backend.prompts()
  self.editor:reset()
  self.terminal:raw(true)
  self.terminal:write(PASTE_ON)
  self.editing = true
  local line = self:edit()
  self.editing = false
  self.terminal:write(PASTE_OFF)
  self.terminal:raw(false)
  if not line then return nil end
  if line:find "%S" then self.editor.history:add(line) end
  return line
end

-- ---- beside it ----

local function follow_size(prompt)
  while true do
    signal.wait "WINCH"
    if prompt.editing and not is_pasting(prompt.bytes) then prompt:show() end
  end
end

local function end_tidily(prompt)
  local name = signal.wait("HUP", "TERM")
  prompt.terminal:close()
  os.exit(128 + NUMBER[name])
end

--- Reads lines and evaluates them until the input ends or eval returns "quit". `terminal` is of green.repl.native. `backend` holds judge(text),
--- eval(text) -> "quit" or nil, complete(text) -> from, list, and prompts() -> first, second. `opts` holds color, interruptible and history.
function M.run(terminal, backend, opts)
  local prompt = setmetatable({
    terminal = terminal, backend = backend, color = opts.color, interruptible = opts.interruptible, bytes = "",
    editor = Editor.new { history = opts.history or History.open() },
  }, Prompt)
  local helpers = { task.spawn(follow_size, prompt), task.spawn(end_tidily, prompt) }
  repeat
    local line = prompt:line()
  until not line or backend.eval(line) == "quit"
  for _, helper in ipairs(helpers) do helper:cancel() end
  terminal:close()
end

return M
