-- SPDX-License-Identifier: MIT
-- Internal.
-- This file compiles a text to a function that runs as a line of a session, whose local variables stay for later lines. A line is compiled
-- inside a function whose upvalues are the variables kept so far, so that a closure of an earlier line and a later line mean the same
-- variable; at its end the line hands over its own variables.
--
--     local x, n = ... return function(...) LINE  __keep(function() return y end) end
local tokens = require "green.repl.tokens"

local M = {}

local KEEP = "__keep" -- an upvalue of the line while it is compiled

local function is_incomplete(message) return message:sub(-5) == "<eof>" end

-- Compiles the text as an expression, else as statements. Returns the text of the chunk, or nil and the compiler's message.
local function as_chunk(text, name)
  text = text:gsub("^(%s*)=", "%1 ")
  local expression = "return " .. text
  local chunk, no_expression = load(expression, name, "t")
  if chunk then return expression, true end
  local message
  chunk, message = load(text, name, "t")
  if chunk then return text end
  return nil, is_incomplete(no_expression) and no_expression or message
end

--- Returns "complete", "incomplete" or "wrong", and the compiler's message.
function M.judge(text)
  local chunk, message = as_chunk(text, "=stdin")
  if chunk then return "complete" end
  return is_incomplete(message) and "incomplete" or "wrong", message
end

local function upvalue_index(fn, name)
  for i = 1, 255 do
    local found = debug.getupvalue(fn, i)
    if not found then return nil end
    if found == name then return i end
  end
end

-- Makes a variable for a value that has none: a compile-time constant is no upvalue of the function that returns it.
local function cell_of(value)
  return { fn = function() return value end, index = 1 }
end

local function keeper(session, declared)
  return function(fn)
    local values = table.pack(fn())
    for i, variable in ipairs(declared) do
      local index = upvalue_index(fn, variable.name)
      local cell = index and { fn = fn, index = index } or cell_of(values[i])
      cell.const = variable.attribute == "const"
      session.locals[variable.name] = cell
    end
  end
end

local function kept(list)
  local declared, names = {}, {}
  for _, variable in ipairs(tokens.locals(list)) do
    if variable.attribute ~= "close" then -- a <close> variable is closed at the line's end, and not kept
      declared[#declared + 1] = variable
      names[#names + 1] = variable.name
    end
  end
  return declared, table.concat(names, ", ")
end

-- Declares the kept variables that the line names, and no others: a function has 255 upvalues at most.
local function prologue(session, list)
  local names = {}
  for name in pairs(tokens.names(list)) do
    local cell = session.locals[name]
    if cell then names[#names + 1] = name .. (cell.const and " <const>" or "") end
  end
  table.sort(names)
  return #names > 0 and ("local %s = ... "):format(table.concat(names, ", ")) or ""
end

local function compile(session, head, body, name)
  local make, message = load(head .. body, name, "t", session.env)
  if not make then return nil, message end
  return make()
end

local function join(session, fn, keep)
  for i = 1, 255 do
    local name = debug.getupvalue(fn, i)
    if not name then return end
    local cell = session.locals[name]
    if name == KEEP then debug.setupvalue(fn, i, keep)
    elseif cell then debug.upvaluejoin(fn, i, cell.fn, cell.index) end
  end
end

--- Compiles a text in a session, { env =, locals = { name -> cell } }. Returns a function and whether the text is an expression, or nil and a
--- message.
function M.compile(session, text, name)
  name = name or "=stdin"
  local source, is_expression = as_chunk(text, name)
  if not source then return nil, is_expression end
  local list = tokens.list(source)
  local declared, names = kept(list)
  local head = prologue(session, list)
  local fn, message
  if #declared > 0 then
    fn = compile(session, ("local %s %s"):format(KEEP, head),
      ("return function(...) %s\n%s(function() return %s end) end"):format(source, KEEP, names), name)
  end
  if not fn then fn, message = compile(session, head, ("return function(...) %s\nend"):format(source), name) end
  if not fn then return nil, message end
  join(session, fn, keeper(session, declared))
  return fn, is_expression == true
end

--- Splits a text into complete pieces, as if a person had typed one after the other; the last one may be incomplete.
function M.split(text)
  if M.judge(text) ~= "wrong" then return { text } end
  local pieces, piece, number = {}, nil, 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n?" do
    piece = piece and piece .. "\n" .. line or ("\n"):rep(number) .. line -- newlines in front make messages count lines from the text's beginning
    number = number + 1
    if M.judge(piece) ~= "incomplete" then
      pieces[#pieces + 1] = piece:find "%S" and piece or nil
      piece = nil
    end
  end
  pieces[#pieces + 1] = piece
  return pieces
end

return M
