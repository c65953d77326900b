-- SPDX-License-Identifier: MIT
-- Internal.
-- This file takes the frames of an error and their variables for --dev, while the stack still stands. Values become text at once, bounded
-- in length and without metamethods, so that nothing of the script's is called.
local MAX_STRING = 200
local MAX_ENTRIES = 8
local MAX_DEPTH = 3
local MAX_TABLE = 400 -- bytes after which no entry is added
local FIRST, LAST = 12, 12 -- frames shown of a deep stack
local MAX_LOCALS = 40
local KEPT = 64 -- stacks of failed coroutines and tasks, of which the latest are kept

local SECRET = { "passw", "secret", "token", "authorization", "cookie", "api_?key" }
local HIDDEN = "(hidden)"

local OWN = { _ENV = true, __out = true, __escape = true, __raw = true } -- variables that request scripts and templates have from us

local M = {}

function M.is_secret(name)
  if type(name) ~= "string" then return false end
  name = name:lower()
  for _, word in ipairs(SECRET) do
    if name:find(word) then return true end
  end
  return false
end

-- ---- values ----

local function escape(c) return ({ ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" })[c] or ("\\%d"):format(c:byte()) end

-- Quotes a string as Lua source; bytes of text that is no UTF-8 are escaped.
local function quote(text)
  local cut = #text > MAX_STRING and text:sub(1, MAX_STRING) or text
  if #cut < #text then cut = cut:sub(1, (utf8.offset(cut, 0, #cut) or #cut + 1) - 1) end
  local pattern = utf8.len(cut) and '[%c"\\]' or '[%c"\\\128-\255]'
  return '"' .. cut:gsub(pattern, escape) .. '"' .. (#cut < #text and ("... (%d bytes)"):format(#text) or "")
end

local function described(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return ("%s: %p"):format(type(name) == "string" and name or type(value), value)
end

local show

local function show_key(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key end
  return "[" .. show(key, MAX_DEPTH) .. "]"
end

-- Returns the entries of a table as texts, those of its list part first.
local function entries_of(value, depth)
  local out, listed, size = {}, 0, 0
  local function add(text)
    if #out >= MAX_ENTRIES or size > MAX_TABLE then
      out[#out + 1] = "..."
      return false
    end
    out[#out + 1], size = text, size + #text
    return true
  end
  for i = 1, math.min(rawlen(value), MAX_ENTRIES) do
    if not add(show(rawget(value, i), depth + 1)) then return out end
    listed = i
  end
  for key, entry in next, value do
    local is_listed = math.type(key) == "integer" and key >= 1 and key <= listed
    if not is_listed and not add(show_key(key) .. " = " .. (M.is_secret(key) and HIDDEN or show(entry, depth + 1))) then break end
  end
  return out
end

local function show_table(value, depth)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  local head = type(name) == "string" and name .. " " or ""
  if next(value) == nil then return head .. "{}" end
  if depth >= MAX_DEPTH then return head .. "{...}" end
  return head .. "{ " .. table.concat(entries_of(value, depth), ", ") .. " }"
end

function show(value, depth)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "table" then return show_table(value, depth) end
  if kind == "function" then
    local info = debug.getinfo(value, "S")
    if info.what == "C" then return "function: builtin" end
    return ("function: %s:%d"):format(info.short_src, info.linedefined)
  end
  if kind == "userdata" or kind == "thread" then return described(value) end
  return tostring(value) -- nil, booleans and numbers have no metamethods of the script's
end

--- Returns any value as a short text. Calls no metamethods.
function M.show(value) return show(value, 0) end

-- ---- frames ----

local function is_ours(info) return info.source:sub(1, 7) == "@green:" or info.source == "=greenlua" end

local function locals_of(info, get)
  local out = {}
  local function add(name, value) out[#out + 1] = { name = name, value = M.is_secret(name) and HIDDEN or M.show(value) } end
  for i = 1, MAX_LOCALS do
    local name, value = get(i)
    if not name then break end
    if name:sub(1, 1) ~= "(" and not OWN[name] then add(name, value) end
  end
  for i = 1, info.isvararg and MAX_ENTRIES or 0 do
    local name, value = get(-i)
    if not name then break end
    add("..." .. i, value)
  end
  return out
end

local function place_of(info)
  local name = info.namewhat ~= "" and info.name
  if name then return ("%s '%s'"):format(info.namewhat == "global" and "function" or info.namewhat, name) end
  if info.what == "main" then return "main chunk" end
  if info.what == "C" then return "?" end
  return ("function <%s:%d>"):format(info.short_src, info.linedefined)
end

local function frame_of(info, get)
  local plain = info.what == "C" or is_ours(info)
  return {
    where = info.short_src .. ":" .. (info.currentline > 0 and info.currentline .. ":" or ""),
    place = place_of(info), unnamed = info.namewhat == "" and info.what == "Lua" and info.linedefined or nil, line = info.currentline, tail = info.istailcall,
    path = not plain and info.source:match "^[@=](.*)" or nil, plain = plain,
    locals = plain and {} or locals_of(info, get),
  }
end

local WHAT = "Slntuf"

-- Returns how many levels a stack has. Asking for a level costs as much as it is deep, hence the bisection.
local function depth_of(co)
  local low, high = 0, 1
  while debug.getinfo(co, high, "l") do low, high = high, high * 2 end
  while low < high do
    local middle = (low + high) // 2
    if debug.getinfo(co, middle, "l") then low = middle + 1 else high = middle end
  end
  return low
end

-- Returns the level at which the script's frames end: from the function `stop` down to the bottom the frames are the host's.
local function end_of(co, stop)
  local depth = depth_of(co)
  for level = depth - 1, math.max(0, stop and depth - 64 or depth), -1 do
    if debug.getinfo(co, level, "f").func == stop then return level end
  end
  return depth
end

-- Returns the frames of another coroutine, from the innermost one (at level `first`) to the one before `stop`.
local function frames_of(co, first, stop)
  local frames, last = {}, end_of(co, stop) - 1
  local level = first
  while level <= last do
    if level == first + FIRST and last - level >= LAST then
      frames[#frames + 1] = { skipped = last - LAST + 1 - level }
      level = last - LAST + 1
    end
    local at = level
    frames[#frames + 1] = frame_of(debug.getinfo(co, at, WHAT), function(n) return debug.getlocal(co, at, n) end)
    level = level + 1
  end
  return frames
end

--- Returns the frames of a coroutine that does not run, from the innermost one to the last.
function M.frames(co) return frames_of(co, 0) end

-- Returns the frames above the function `top`: its caller's, and so on.
local function frames_above(co, top, stop)
  local level = 0
  while debug.getinfo(co, level, "f").func ~= top do level = level + 1 end
  return frames_of(co, level + 1, stop)
end

-- ---- stacks that were left behind ----

local left = {} -- { err =, note =, frames = }, the oldest first

local function remember(co, err, note)
  if #left >= KEPT then table.remove(left, 1) end
  left[#left + 1] = { err = err, note = note, frames = frames_of(co, 0) }
end

-- Tells whether two errors are the same. A string may have been given a position in front when it was raised again.
local function is_same(err, other)
  if rawequal(err, other) then return true end
  return type(err) == "string" and type(other) == "string" and err:sub(-#other) == other and other ~= ""
end

local function take(err)
  local mine, others = {}, {}
  for _, one in ipairs(left) do
    local to = is_same(err, one.err) and mine or others
    to[#to + 1] = one
  end
  left = others
  return mine
end

-- ---- the report ----

local Report = { __name = "green.dev.Report" }

function M.is_report(value) return getmetatable(value) == Report end

local function message_of(err)
  if type(err) == "string" then return err end
  local ok, text = pcall(tostring, err)
  return ok and text or described(err)
end

function M.report(err, stacks) return setmetatable({ err = err, message = message_of(err), stacks = stacks or {} }, Report) end

-- Returns a message handler for xpcall that makes a report of an error, without the frames from the function `stop` on. The handler looks
-- at its stack from a new coroutine, whose own frames then do not shift the levels.
function M.handler(stop)
  local function handler(err)
    local stacks = take(err)
    local ok, frames = pcall(coroutine.wrap(frames_above), coroutine.running(), handler, stop)
    stacks[#stacks + 1] = { frames = ok and frames or {} }
    return M.report(err, stacks)
  end
  return handler
end

-- From this call on the host passes each failing coroutine and task to `remember` (host/core/trace.c).
function M.start() debug.getregistry()["green.failure"] = remember end

return M
