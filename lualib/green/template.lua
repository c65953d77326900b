-- SPDX-License-Identifier: MIT
-- HTML with Lua in it: {{ expression }} escaped, {- expression -} as it is, {% code %}. Compiled to a Lua function
-- whose lines are those of the template, so every error names the template and its line.
local fault = require "green.error"
local files = require "green.dev.files"
local fs = require "green.fs.native"

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local CLOSE = { ["{{"] = "}}", ["{-"] = "-}", ["{%"] = "%}" }

local M = {}

-- Returns tostring(value). An error of a __tostring points at the place where the value is inserted.
local function text_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind ~= "table" and kind ~= "userdata" then return tostring(value) end
  local ok, text = pcall(tostring, value)
  return ok and text or error(text, 3)
end

-- Returns the text to insert for a value, escaped; nil becomes nothing.
function M.escape(value)
  if value == nil then return "" end
  return (text_of(value):gsub("[&<>\"']", ESCAPES))
end

local function raw(value) return value == nil and "" or text_of(value) end

local function line_of(text, at) return 1 + select(2, text:sub(1, at - 1):gsub("\n", "")) end

-- The next tag at or after `from`. "{-" needs a space after it: without one it is CSS.
local function next_tag(text, from)
  while true do
    local at = text:find("{[{%%-]", from)
    if not at then return nil end
    local open = text:sub(at, at + 1)
    if open ~= "{-" or text:find("^%s", at + 2) then return at, open end
    from = at + 1
  end
end

local function code_for(open, inside)
  if open == "{{" then return " __out(__escape(" .. inside .. ")) " end
  if open == "{-" then return " __out(__raw(" .. inside .. ")) " end
  return " " .. inside .. " "
end

-- %q keeps line breaks as line breaks, and one that ends a {% %} line is kept in the code only.
local function translate(text, name)
  local out, from = { "local _ENV, __out, __escape, __raw = ..." }, 1
  while true do
    local at, open = next_tag(text, from)
    if (at or #text + 1) > from then out[#out + 1] = (" __out(%q) "):format(text:sub(from, (at or 0) - 1)) end
    if not at then return table.concat(out) end
    local first, last = text:find(CLOSE[open], at + 2, true)
    if not first then fault.raise("template", "EINVAL", "%s:%d: '%s' without '%s'", name, line_of(text, at), open, CLOSE[open]) end
    out[#out + 1] = code_for(open, text:sub(at + 2, first - 1))
    from = last + 1
    if open == "{%" and text:sub(from, from) == "\n" then
      out[#out + 1] = "\n"
      from = from + 1
    end
  end
end

-- What is written in a line between the parentheses of a call of `name`, if it is called once there.
local function argument_in(text, line, name)
  local number = 0
  for one in (text .. "\n"):gmatch "([^\n]*)\n?" do
    number = number + 1
    if number == line then
      local start, stop = one:find(name, 1, true)
      if not start or one:find(name, stop + 1, true) or one:sub(1, start - 1):find "[%w_.:]$" then return nil end
      local argument = one:match("^%s*(%b())", stop + 1)
      return argument and argument:sub(2, -2):match "^%s*(.*)$":match "^(.*%S)"
    end
  end
end

-- Raises what Lua does not say when nil is looped over: where, and what was nil.
local function loop(name, text)
  return function(value, ...)
    if value == nil then
      local what = argument_in(text, debug.getinfo(2, "l").currentline, name)
      error(("%s: %s is nil"):format(name, what and "'" .. what .. "'" or "what is to be looped over"), 2)
    end
    return _G[name](value, ...)
  end
end

local function environment(values, own)
  return setmetatable({}, {
    __index = function(_, name)
      local value = values[name]
      if value == nil then value = own[name] or _G[name] end
      return value
    end,
  })
end

-- Compiles a template. Returns a function(values) -> string.
function M.compile(text, name)
  if type(text) ~= "string" then fault.misuse("template.compile: text: a string expected, got %s", type(text)) end
  if name ~= nil and type(name) ~= "string" then fault.misuse("template.compile: name: a string expected, got %s", type(name)) end
  name = name or "template"
  local main, err = load(translate(text, name), "=" .. name, "t")
  if not main then files.refused(name, err) end
  if not main then fault.raise("template", "EINVAL", "%s", err) end
  local own = { ipairs = loop("ipairs", text), pairs = loop("pairs", text) }
  return function(values)
    if values ~= nil and type(values) ~= "table" then fault.misuse("%s: values: a table expected, got %s", name, type(values)) end
    local pieces = {}
    main(environment(values or {}, own), function(piece) pieces[#pieces + 1] = piece end, M.escape, raw)
    return table.concat(pieces)
  end
end

-- The same from a file; waits.
function M.load(path)
  if type(path) ~= "string" then fault.misuse("template.load: path: a string expected, got %s", type(path)) end
  files.note("code", path)
  return M.compile(fs.read(path), path)
end

return M
