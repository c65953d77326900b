-- SPDX-License-Identifier: MIT
-- Internal.
-- This file shows values to people: nested, with cycles marked, sorted, cut where they get long, and the rows of a query as a table.
local M = {}

local LIMITS = { depth = 6, items = 60, total = 400, string = 1000, rows = 40, cell = 40 }
local COLOURS = { string = "32", number = "36", boolean = "35", ["nil"] = "35", key = "34", dim = "2" }

local function plain(text) return text end
local function coloured(text, kind)
  local colour = COLOURS[kind]
  return colour and ("\27[%sm%s\27[0m"):format(colour, text) or text
end

-- ---- strings ----

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"', ["\27"] = "\\27" }

local function escape(char)
  return ESCAPES[char] or ("\\x%02X"):format(char:byte())
end

-- Escapes the bytes that cannot be shown as they are: control characters, and all that is no UTF-8.
local function escape_all(text)
  if not utf8.len(text) then
    local parts, at = {}, 1
    while at <= #text do
      local ok, wrong = utf8.len(text, at)
      local stop = ok and #text or wrong - 1
      parts[#parts + 1] = text:sub(at, stop):gsub('[%c"\\]', escape)
      if not ok then parts[#parts + 1] = ("\\x%02X"):format(text:byte(wrong)) end
      at = stop + (ok and 1 or 2)
    end
    return table.concat(parts)
  end
  return (text:gsub('[%c"\\]', escape))
end

-- Returns at most n bytes of a text, cut between two characters.
local function head_of(text, n)
  if #text <= n then return text end
  while n > 0 and (text:byte(n + 1) or 0) & 0xC0 == 0x80 do n = n - 1 end
  return text:sub(1, n)
end

local function quote(text, limit)
  local head = head_of(text, limit)
  local quoted = '"' .. escape_all(head) .. '"'
  if #head == #text then return quoted end
  return quoted, (" ... %d bytes; print it to see all"):format(#text)
end

-- ---- scalars ----

local function describe(value)
  local ok, text = pcall(tostring, value)
  return ok and text or ("(a %s whose tostring failed: %s)"):format(type(value), tostring(text))
end

-- Tells whether a value has a __tostring, which then decides how the value looks.
local function has_tostring(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

local function class_of(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or nil
end

local function is_word(text)
  return text:find "^[%a_][%w_]*$" ~= nil and not require("green.repl.tokens").keywords[text]
end

-- ---- tables ----

local ORDER = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local first, second = ORDER[type(a)] or 9, ORDER[type(b)] or 9
  if first ~= second then return first < second end
  if first < 3 then return a < b end
  return describe(a) < describe(b)
end

local Printer = {}
Printer.__index = Printer

function Printer:scalar(value, limit)
  local kind = type(value)
  if kind == "string" then
    local quoted, more = quote(value, limit or LIMITS.string)
    return self.paint(quoted, "string") .. (more and self.paint(more, "dim") or "")
  end
  if kind == "table" or kind == "userdata" or kind == "function" or kind == "thread" then return head_of(describe(value), 2000) end
  return self.paint(describe(value), kind)
end

function Printer:key(key)
  if type(key) == "string" and is_word(key) then return self.paint(key, "key") end
  if type(key) == "string" then return "[" .. self.paint(quote(key, 100), "key") .. "]" end
  return "[" .. self.paint(describe(key), "key") .. "]"
end

-- Returns the keys outside the list part, sorted, and how many more there are. Only the first 2000 are sorted, since sixty are shown.
local function keys_of(value, length)
  local keys, more = {}, 0
  for key in next, value do
    local in_list = math.type(key) == "integer" and key >= 1 and key <= length
    if not in_list then
      if #keys < 2000 then keys[#keys + 1] = key else more = more + 1 end
    end
  end
  table.sort(keys, before)
  return keys, more
end

-- Returns the entries of a table as texts, and how many are left out.
function Printer:items(value, depth)
  local items, length, left = {}, rawlen(value), 0
  local function add(text)
    items[#items + 1] = text
    self.total = self.total + 1
  end
  local function is_full() return #items >= LIMITS.items or self.total >= LIMITS.total end
  for i = 1, length do
    if is_full() then left = length - i + 1 break end
    add(self:value(rawget(value, i), depth + 1))
  end
  local keys, more = keys_of(value, length)
  for i, key in ipairs(keys) do
    if is_full() then left = left + #keys - i + 1 break end
    add(self:key(key) .. " = " .. self:value(rawget(value, key), depth + 1))
  end
  return items, left + more
end

local function width_of(text)
  text = text:gsub("\27%[[%d;]*m", "")
  return utf8.len(text) or #text
end

local function fits(items, room)
  local width = 0
  for _, item in ipairs(items) do
    width = width + width_of(item) + 2
    if width > room or item:find("\n", 1, true) then return false end
  end
  return true
end

function Printer:table(value, depth)
  local above = self.path[value]
  if above then return self.paint(("<cycle: %d up>"):format(depth - above), "dim") end
  if depth > LIMITS.depth then return self.paint("{...}", "dim") end
  self.path[value] = depth
  local items, left = self:items(value, depth)
  self.path[value] = nil
  local class = class_of(value)
  local open = class and self.paint(class, "dim") .. " {" or "{"
  if left > 0 then items[#items + 1] = self.paint(("... %d more"):format(left), "dim") end
  if #items == 0 then return open .. "}" end
  if fits(items, self.width - 2 * depth - #open - 4) then return open .. " " .. table.concat(items, ", ") .. " }" end
  local indent = ("  "):rep(depth + 1)
  return open .. "\n" .. indent .. table.concat(items, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

function Printer:value(value, depth)
  if type(value) ~= "table" or has_tostring(value) then return self:scalar(value, depth > 0 and 200 or nil) end
  return self:table(value, depth)
end

-- ---- rows ----

local function is_row(value)
  if type(value) ~= "table" or has_tostring(value) or next(value) == nil then return false end
  for key, field in next, value do
    if type(key) ~= "string" or type(field) == "table" or type(field) == "function" then return false end
  end
  return true
end

-- Returns the columns of a list of records, nil when the list is none. A query's result has `columns`, in the order of the query.
local function columns_of(list)
  local n = rawlen(list)
  if n == 0 then return nil end
  local has_columns = type(rawget(list, "columns")) == "table"
  local columns, seen = {}, {}
  for i = 1, math.min(n, LIMITS.rows) do
    local row = rawget(list, i)
    if not is_row(row) then return nil end
    for key in next, row do
      if not seen[key] then columns[#columns + 1] = key end
      seen[key] = true
    end
  end
  if has_columns then return list.columns end
  local fields = 0
  for _ in next, list do fields = fields + 1 end
  if n < 2 or fields ~= n or #columns > 12 then return nil end
  table.sort(columns, function(a, b)
    if (a == "id") ~= (b == "id") then return a == "id" end
    return a < b
  end)
  return columns
end

local function cell_text(value)
  if value == nil then return "" end
  local text = type(value) == "string" and escape_all(value):gsub('\\"', '"') or describe(value)
  if (utf8.len(text) or #text) <= LIMITS.cell then return text end
  return text:sub(1, (utf8.offset(text, LIMITS.cell) or LIMITS.cell) - 1) .. "…"
end

local function pad(text, width, right)
  local space = (" "):rep(width - (utf8.len(text) or #text))
  return right and space .. text or text .. space
end

function Printer:rows(list, columns)
  local n = math.min(rawlen(list), LIMITS.rows)
  local widths, right, cells = {}, {}, {}
  for c, column in ipairs(columns) do widths[c], right[c] = utf8.len(column) or #column, true end
  for i = 1, n do
    cells[i] = {}
    for c, column in ipairs(columns) do
      local value = rawget(list[i], column)
      local text = cell_text(value)
      cells[i][c] = text
      widths[c] = math.max(widths[c], utf8.len(text) or #text)
      if value ~= nil and type(value) ~= "number" then right[c] = false end
    end
  end
  local head, lines = {}, {}
  for c, column in ipairs(columns) do head[c] = self.paint(pad(column, widths[c], right[c]), "key") end
  lines[1] = table.concat(head, "  ")
  for i = 1, n do
    for c in ipairs(columns) do cells[i][c] = pad(cells[i][c], widths[c], right[c]) end
    lines[#lines + 1] = table.concat(cells[i], "  "):match "^(.*%S)" or ""
  end
  local rest = rawlen(list) - n
  if rest > 0 then lines[#lines + 1] = self.paint(("... %d more rows"):format(rest), "dim") end
  return table.concat(lines, "\n")
end

--- Returns the text of a value. `opts` holds color and width (80). Of the value's own code only __tostring is called, which may wait.
function M.text(value, opts)
  local printer = setmetatable({
    paint = opts and opts.color and coloured or plain, width = opts and opts.width or 80, total = 0, path = {},
  }, Printer)
  if type(value) == "table" and not has_tostring(value) then
    local columns = columns_of(value)
    if columns and #columns > 0 then return printer:rows(value, columns) end
  end
  return printer:value(value, 0)
end

return M
