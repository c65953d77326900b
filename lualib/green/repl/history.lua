-- SPDX-License-Identifier: MIT
-- Internal.
-- A history keeps the lines that were typed, in a file that only its owner may read: one entry per line, with newlines and backslashes
-- escaped. Several prompts at once append to the same file.
local fs = require "green.fs"

local History = {}
History.__index = History

local MOST = 2000     -- entries that are kept
local LONGEST = 65536 -- bytes of an entry; longer ones are not kept

local function state_folder()
  local state = os.getenv "XDG_STATE_HOME"
  if state and state ~= "" then return state .. "/greenlua" end
  local home = os.getenv "HOME"
  return home and home ~= "" and home .. "/.local/state/greenlua" or nil
end

local function encode(entry) return (entry:gsub("\\", "\\\\"):gsub("\n", "\\n")) end

local function decode(line)
  return (line:gsub("\\(.)", function(char) return char == "n" and "\n" or char end))
end

local function save(path, entries)
  local lines = {}
  for i, entry in ipairs(entries) do lines[i] = encode(entry) .. "\n" end
  pcall(fs.write, path, table.concat(lines))
  pcall(fs.chmod, path, 384)
end

--- Opens the history in a file, by default the user's. A file that cannot be read gives an empty history: a prompt must work without one.
function History.open(path)
  local folder = state_folder()
  path = path or folder and folder .. "/history"
  local self = setmetatable({ path = path }, History)
  if not path then return self end
  if folder then pcall(fs.mkdir, folder, { parents = true }) end
  local ok, text = pcall(fs.read, path)
  if not ok then
    save(path, {})
    return self
  end
  for line in text:gmatch "[^\n]+" do self[#self + 1] = decode(line) end
  if #self > 2 * MOST then
    table.move(self, #self - MOST + 1, #self, 1)
    for i = #self, MOST + 1, -1 do self[i] = nil end
    save(path, self)
  end
  return self
end

--- Adds a line, unless the line begins with a space or repeats the last entry.
function History:add(entry)
  if entry:find "^%s" or not entry:find "%S" or entry == self[#self] or #entry > LONGEST then return end
  self[#self + 1] = entry
  if self.path then pcall(fs.append, self.path, encode(entry) .. "\n") end
end

--- Finds the last entry at or before `index` that holds the text. Returns the entry's index and the place of the text.
function History:find(text, index)
  for i = math.min(index, #self), 1, -1 do
    local at = self[i]:find(text, 1, true)
    if at then return i, at end
  end
end

return History
