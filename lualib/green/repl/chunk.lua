-- SPDX-License-Identifier: MIT
-- Internal.
-- From text to a function that runs as a line of a session: its local variables stay for the lines after it. A line is
-- compiled inside a function whose upvalues are the variables kept so far, so that a closure of an earlier line and a
-- later line mean the same variable; at its end it hands over its own.
--
--     local x, n = ... return function(...) LINE  __keep(function() return y end) end
local tokens = require "green.repl.tokens"

local M = {}

local KEEP = "__keep" -- an upvalue of the line while it is compiled

local function is_incomplete(message) return message:sub(-5) == "<eof>" end

-- As an expression, else as statements. Returns the text that is a chunk, or nil and why not.
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

--- "complete", "incomplete" or "wrong", with the message.
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

-- A variable of its own for a value that has none: a constant is no upvalue.
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
    if variable.attribute ~= "close" then -- that one is closed, and over
      declared[#declared + 1] = variable
      names[#names + 1] = variable.name
    end
  end
  return declared, table.concat(names, ", ")
end

-- Only those the line names: a function has 255 upvalues at most.
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

--- A function, or nil and a message. session: { env =, locals = { name -> cell } }. Second: is it an expression?
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

--- The text in pieces that are each complete, as if they had been typed one after the other; the last one may not be.
function M.split(text)
  if M.judge(text) ~= "wrong" then return { text } end
  local pieces, piece, number = {}, nil, 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n?" do
    piece = piece and piece .. "\n" .. line or ("\n"):rep(number) .. line -- messages are about the line of the whole
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
