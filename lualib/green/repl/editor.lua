-- SPDX-License-Identifier: MIT
-- Internal.
-- An editor holds the text that is being typed. Keys change the text; nothing here knows of a terminal. A position is the number of bytes
-- before the cursor.
local width = require "green.repl.width"

local Editor = {}
Editor.__index = Editor

--- Makes an editor. `opts` holds the history (of green.repl.history).
function Editor.new(opts)
  return setmetatable({ text = "", cursor = 0, history = opts.history, at = nil, killed = "", undo = {} }, Editor)
end

-- ---- changing it ----

function Editor:remember()
  local last = self.undo[#self.undo]
  if last and last.text == self.text then return end
  self.undo[#self.undo + 1] = { text = self.text, cursor = self.cursor }
  if #self.undo > 200 then table.remove(self.undo, 1) end
end

function Editor:set(text, cursor)
  self.text, self.cursor = text, cursor or #text
end

function Editor:replace(from, to, by)
  self:remember()
  self.text = self.text:sub(1, from) .. by .. self.text:sub(to + 1)
  self.cursor = from + #by
end

function Editor:insert(text) self:replace(self.cursor, self.cursor, text) end

function Editor:kill(from, to)
  if from < to then self.killed = self.text:sub(from + 1, to) end
  self:replace(from, to, "")
end

function Editor:reset()
  self.text, self.cursor, self.at, self.undo, self.draft = "", 0, nil, {}, nil
end

-- ---- places ----

-- Returns the number of bytes before the last line of a text.
local function before_line(text) return (text:match "^.*\n()" or 1) - 1 end

function Editor:line_start() return before_line(self.text:sub(1, self.cursor)) end

function Editor:line_end()
  return (self.text:find("\n", self.cursor + 1, true) or #self.text + 1) - 1
end

function Editor:word_left()
  local before = self.text:sub(1, self.cursor)
  before = before:match "^(.*[%w_\x80-\xFF])" or ""
  return #(before:match "^(.*[^%w_\x80-\xFF])" or "")
end

function Editor:word_right()
  local _, stop = self.text:find("^[^%w_\x80-\xFF]*[%w_\x80-\xFF]*", self.cursor + 1)
  return stop
end

-- Moves the cursor to the same column of another line, or to the line's end if the line is shorter.
function Editor:to_line(start, column)
  local stop = (self.text:find("\n", start + 1, true) or #self.text + 1) - 1
  self.cursor = math.min(start + column, stop)
  while self.cursor > start and (self.text:byte(self.cursor + 1) or 0) & 0xC0 == 0x80 do self.cursor = self.cursor - 1 end
end

-- ---- history ----

function Editor:recall(index)
  if index < 1 then return end
  if not self.at then self.draft = self.text end
  if index > #self.history then
    self.at = nil
    return self:set(self.draft or "")
  end
  self.at = index
  self:set(self.history[index])
end

function Editor:up()
  local start = self:line_start()
  if start == 0 then return self:recall((self.at or #self.history + 1) - 1) end
  local before = self.text:sub(1, start - 1)
  self:to_line(before_line(before), self.cursor - start)
end

function Editor:down()
  local stop = self:line_end()
  if stop < #self.text then return self:to_line(stop + 1, self.cursor - self:line_start()) end
  if self.at then self:recall(self.at + 1) end
end

-- ---- keys ----

local KEYS = {}

KEYS["left"] = function(e) e.cursor = width.previous(e.text, e.cursor) end
KEYS["right"] = function(e) e.cursor = width.next(e.text, e.cursor) end
KEYS["home"] = function(e) e.cursor = e:line_start() end
KEYS["end"] = function(e) e.cursor = e:line_end() end
KEYS["ctrl-home"] = function(e) e.cursor = 0 end
KEYS["ctrl-end"] = function(e) e.cursor = #e.text end
KEYS["up"] = Editor.up
KEYS["down"] = Editor.down
KEYS["alt-b"] = function(e) e.cursor = e:word_left() end
KEYS["alt-f"] = function(e) e.cursor = e:word_right() end
KEYS["backspace"] = function(e)
  if e.cursor > 0 then e:replace(width.previous(e.text, e.cursor), e.cursor, "") end
end
KEYS["delete"] = function(e)
  local at = e.cursor
  e:replace(at, width.next(e.text, at), "")
end
KEYS["ctrl-k"] = function(e)
  local stop = e:line_end()
  e:kill(e.cursor, stop > e.cursor and stop or math.min(stop + 1, #e.text))
end
KEYS["ctrl-u"] = function(e) e:kill(e:line_start(), e.cursor) end
KEYS["ctrl-w"] = function(e)
  local before = e.text:sub(1, e.cursor)
  before = before:match "^(.*%S)" or ""
  e:kill(#(before:match "^(.*%s)" or ""), e.cursor)
end
KEYS["alt-backspace"] = function(e) e:kill(e:word_left(), e.cursor) end
KEYS["alt-d"] = function(e)
  local at = e.cursor
  e:kill(at, e:word_right())
end
KEYS["ctrl-y"] = function(e) e:insert(e.killed) end
KEYS["ctrl-t"] = function(e)
  if e.cursor == #e.text then e.cursor = width.previous(e.text, e.cursor) end
  local before, after = width.previous(e.text, e.cursor), width.next(e.text, e.cursor)
  if before == e.cursor then return end
  e:replace(before, after, e.text:sub(e.cursor + 1, after) .. e.text:sub(before + 1, e.cursor))
end
KEYS["ctrl-_"] = function(e)
  local last = table.remove(e.undo)
  if last then e:set(last.text, last.cursor) end
end
KEYS["alt-enter"] = function(e) e:insert "\n" end
KEYS["ctrl-a"], KEYS["ctrl-e"], KEYS["ctrl-b"], KEYS["ctrl-f"] = KEYS["home"], KEYS["end"], KEYS["left"], KEYS["right"]
KEYS["ctrl-p"], KEYS["ctrl-n"], KEYS["ctrl-h"] = KEYS["up"], KEYS["down"], KEYS["backspace"]

-- ---- searching the history ----

local Search = {}

local function look(editor, from)
  local search = editor.search
  local index, at = editor.history:find(search.text, from)
  search.failed = index == nil
  if not index then return end
  search.index = index
  editor:set(editor.history[index], at - 1)
end

function Editor:search_history()
  if self.search then
    if self.search.text ~= "" then look(self, (self.search.index or #self.history + 1) - 1) end
    return
  end
  self.search = { text = "", before = self.text, cursor = self.cursor }
end

-- Takes a key of a search. Returns false for a key that ends the search and is then to have its usual effect.
function Search.key(editor, key, text)
  local search = editor.search
  if key == "char" then
    search.text = search.text .. text
    look(editor, search.index or #editor.history)
  elseif key == "backspace" then
    search.text = search.text:sub(1, width.previous(search.text, #search.text))
    look(editor, #editor.history)
  elseif key == "ctrl-g" or key == "escape" or key == "ctrl-c" then
    editor:set(search.before, search.cursor)
    editor.search = nil
  else
    editor.search, editor.at = nil, search.index
    return false
  end
  return true
end

-- ---- what a key does ----

local function newline(editor)
  local line = editor.text:sub(editor:line_start() + 1, editor.cursor)
  editor:insert("\n" .. line:match "^%s*")
end

--- Takes a key. Returns what the front end has to do, if anything: "enter", "eof", "interrupt", "complete", "clear" or "suspend".
function Editor:key(key, text)
  if key == "ctrl-r" then return self:search_history() end
  if self.search and Search.key(self, key, text) then return end
  if key == "char" or key == "byte" then return self:insert(text) end
  if key == "paste" then return self:insert((text:gsub("\r\n?", "\n"):gsub("[%z\1-\8\11-\31\127]", ""))) end
  if key == "enter" then return "enter" end
  if key == "ctrl-c" then return "interrupt" end
  if key == "ctrl-l" then return "clear" end
  if key == "ctrl-z" then return "suspend" end
  if key == "tab" then
    local line = self.text:sub(self:line_start() + 1, self.cursor)
    if line:find "%S" then return "complete" end
    return self:insert "  "
  end
  if key == "ctrl-d" then
    if self.text == "" then return "eof" end
    key = "delete"
  end
  if KEYS[key] then KEYS[key](self) end
end

Editor.newline = newline

return Editor
