-- SPDX-License-Identifier: MIT
-- JSON through lua-cjson, which knows one kind of number: a double, written with 14 digits. Lua has integers, so
-- decoded whole numbers become integers again, and numbers a double or 14 digits would damage travel through cjson
-- as marked strings. The mark is random: no document can contain it.
local cjson = require("cjson").new()
local err = require "green.error"

cjson.decode_invalid_numbers(false)

local MARK = ("greenjson%08x%08x:"):format(math.random(0, 0xffffffff), math.random(0, 0xffffffff))
local MAX_DEPTH = 1000 -- cjson's own
local SAFE = 99999999999999 -- 14 digits
local EXACT = 2 ^ 53

local Array = { __name = "green.json.array" }
local M = { null = cjson.null }

local math_type, tointeger, type = math.type, math.tointeger, type

-- ---- encode ----

local function marked_float(number)
  if number ~= number or number - number ~= 0 then return number end -- cjson refuses it
  for digits = 14, 17 do
    local text = ("%." .. digits .. "g"):format(number)
    if tonumber(text) == number then return digits == 14 and number or MARK .. text end
  end
end

local prepare

local function prepare_table(value, depth)
  if depth > MAX_DEPTH then err.raise("json.encode", "EJSON", "nested deeper than %d levels, or a cycle", MAX_DEPTH) end
  if next(value) == nil and getmetatable(value) == Array then return MARK .. "[]" end
  local copy
  for key, before in next, value do
    local after = prepare(before, depth + 1)
    if not rawequal(after, before) then
      if not copy then
        copy = {}
        for k, v in next, value do copy[k] = v end
      end
      copy[key] = after
    end
  end
  return copy or value
end

function prepare(value, depth)
  local kind = type(value)
  if kind == "table" then return prepare_table(value, depth) end
  if kind ~= "number" then return value end
  if math_type(value) == "float" then return marked_float(value) end
  return value <= SAFE and value >= -SAFE and value or MARK .. value
end

function M.encode(value)
  local prepared = prepare(value, 1)
  local ok, text = pcall(cjson.encode, prepared)
  if not ok then err.raise("json.encode", "EJSON", "%s", text) end
  if rawequal(prepared, value) then return text end
  return (text:gsub('"' .. MARK .. '([^"]*)"', "%1"))
end

function M.array(list)
  return setmetatable(list or {}, Array)
end

-- ---- decode ----

-- Returns whether a whole number was too large for a double to be trusted.
local function settle(value)
  local doubtful = false
  for key, each in next, value do
    local kind = type(each)
    if kind == "number" then
      doubtful = doubtful or each >= EXACT or each <= -EXACT
      value[key] = tointeger(each) or each
    elseif kind == "table" then
      doubtful = settle(each) or doubtful
    end
  end
  return doubtful
end

local function string_end(text, at)
  while true do
    at = text:find('["\\]', at + 1)
    if text:byte(at) == 34 then return at end
    at = at + 1
  end
end

-- The (valid) document with its long integers as marked strings.
local function mark_integers(text)
  local out, from, at = {}, 1, 1
  while true do
    local start = text:find('["%d]', at)
    if not start then break end
    if text:byte(start) == 34 then
      at = string_end(text, start) + 1
    else
      if text:byte(start - 1) == 45 then start = start - 1 end
      local number = text:match("^[%d.eE+-]+", start)
      at = start + #number
      if #number >= 16 and math_type(tonumber(number)) == "integer" then
        out[#out + 1] = text:sub(from, start - 1) .. '"' .. MARK .. number .. '"'
        from = at
      end
    end
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

local function unmark(value)
  for key, each in next, value do
    if type(each) == "table" then
      unmark(each)
    elseif type(each) == "string" and each:sub(1, #MARK) == MARK then
      value[key] = tointeger(each:sub(#MARK + 1))
    end
  end
end

function M.decode(text)
  if type(text) ~= "string" then err.misuse("json.decode: a string expected, got %s", type(text)) end
  local ok, value = pcall(cjson.decode, text)
  if not ok then
    local failure = err.new("json.decode", "EJSON", "%s", value)
    failure.position = math.tointeger(value:match("at character (%d+)"))
    error(failure)
  end
  local box = { value }
  if settle(box) then
    box = { cjson.decode(mark_integers(text)) }
    settle(box)
    unmark(box)
  end
  return box[1]
end

return M
