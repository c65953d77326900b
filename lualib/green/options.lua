-- SPDX-License-Identifier: MIT
-- Internal.
-- Tables of options: what is mistyped or of the wrong kind is refused by name, at the line of whoever called the library. A
-- misspelt option would be a limit that nobody set.
local fault = require "green.error"

local M = {}

local KINDS = {
  any = { "a value", function() return true end },
  count = { "an integer >= 1", function(v) return math.type(v) == "integer" and v >= 1 end },
  integer = { "an integer", function(v) return math.type(v) == "integer" end },
  seconds = { "a number of seconds >= 0", function(v) return type(v) == "number" and v >= 0 end },
  time = { "a number of seconds > 0", function(v) return type(v) == "number" and v > 0 end },
  whole = { "a whole number >= 0", function(v) return type(v) == "number" and v >= 0 and math.tointeger(v) ~= nil end },
}

KINDS.bytes = KINDS.whole -- for limits in bytes

for _, name in ipairs { "boolean", "function", "number", "string", "table" } do
  KINDS[name] = { "a " .. name, function(v) return type(v) == name end }
end

local function one_of(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = "'" .. word .. "'" end
  local last = table.remove(quoted)
  return #quoted > 0 and table.concat(quoted, ", ") .. " or " .. last or last
end

-- Is the value of the kind? Else what was expected.
local function mismatch(value, kind)
  if type(kind) == "table" then
    for _, word in ipairs(kind) do
      if value == word then return nil end
    end
    return one_of(kind)
  end
  local expected = {}
  for name in kind:gmatch "[^|]+" do
    if KINDS[name][2](value) then return nil end
    expected[#expected + 1] = KINDS[name][1]
  end
  return table.concat(expected, " or ")
end

--- Returns the options with those of `defaults` that they do not name. Either may be nil.
function M.over(given, defaults)
  if type(given) ~= "table" or not defaults then return given or defaults end
  local all = {}
  for name, value in pairs(defaults) do all[name] = value end
  for name, value in pairs(given) do all[name] = value end
  return all
end

local function shown(value)
  local kind = type(value)
  if kind == "string" then return #value <= 40 and ("'%s'"):format(value) or "a long string" end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  return kind == "nil" and "nothing" or "a " .. kind
end

local function sorted_names(known)
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- "; did you mean 'timeout'?", or what there is.
local function hint(word, names)
  return require "green.reference.native".hint(type(word) == "string" and word or nil, names)
end

local function check_one(where, name, value, known, noun)
  local kind = known[name]
  if kind == nil then
    fault.misuse("%s: unknown %s '%s'%s", where, noun, tostring(name), hint(name, sorted_names(known)))
  end
  local expected = mismatch(value, kind)
  if expected then fault.misuse("%s: %s '%s': %s expected, not %s", where, noun, name, expected, shown(value)) end
end

--- The options themselves, or an empty table for none. `where`: the function that takes them. `known`: { name = kind }, where a
--- kind is one of KINDS, several ("string|table"), or a list of the words that are allowed. `noun`: what they are called.
function M.check(where, given, known, noun)
  if given == nil then return {} end
  if type(given) ~= "table" then fault.misuse("%s: options: a table expected, not %s", where, shown(given)) end
  for name, value in next, given do check_one(where, name, value, known, noun or "option") end
  return given
end

--- An argument: `what` is its name.
function M.argument(where, what, value, kind)
  local expected = mismatch(value, kind)
  if expected then fault.misuse("%s: %s: %s expected, not %s", where, what, expected, shown(value)) end
  return value
end

return M
