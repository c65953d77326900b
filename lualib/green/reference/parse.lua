-- SPDX-License-Identifier: MIT
-- Internal.
-- This file reads a stub of lualib/meta into entries. A stub is what the Lua language server reads; facts that the server has no
-- annotation for stand on lines of their own, after the prose:
--
--     ---Waits until the peer took it.        or: ---Does not wait.
--     ---Raises: ETIMEDOUT; EPIPE when the peer is gone.
--
-- Such a line of a class or module ("Nothing here waits." or "Everything here waits.", Raises) holds for all its members without one of
-- their own. An example is fenced: the tests run ```lua and compile ```lua norun; the text after `-->` is what the example's print
-- prints.
--
-- An entry: { kind = "module"|"class"|"function"|"method"|"field"|"alias", name = "green.net.listen", module = "green.net",
-- owner = entry, head = "listen(address)", prose = { line }, examples = { { code =, runs = } }, waits = boolean, waiting = text,
-- raises = text, params, returns, fields = { { name =, type =, optional =, text = } }, members = { entry }, parents = { name },
-- private = boolean }
local NOTHING = "Nothing here waits."
local EVERYTHING = "Everything here waits."

-- Returns the end of the type that begins at `at`. Brackets and quotes hold anything; a blank ends the type, unless it is beside "|" or
-- after ":" or ",".
local function type_end(text, at)
  local unit = at
  while unit <= #text do
    local c = text:sub(unit, unit)
    local close = ({ ["("] = "^%b()()", ["{"] = "^%b{}()", ["["] = "^%b[]()", ["<"] = "^%b<>()", ['"'] = '^%b""()' })[c]
    if c == " " then
      local before, after = text:sub(1, unit):match "(.) *$", text:sub(unit):match "^ *(.?)"
      if after ~= "|" and not before:find "[|:,]" then return unit - 1 end
      unit = text:find("[^ ]", unit) or #text + 1
    else
      unit = close and text:match(close, unit) or unit + 1
    end
  end
  return #text
end

-- Splits a type from its comment: "integer? how many" becomes "integer?" and "how many".
local function split_type(text)
  local last = type_end(text, 1)
  return text:sub(1, last), (text:sub(last + 1):gsub("^ *#? *", ""))
end

local function named(rest)
  local name, typed = rest:match "^(%[.-%])%s+(.*)$"
  local optional = ""
  if not name then name, optional, typed = rest:match "^([%w_.]+)(%??)%s+(.*)$" end
  local kind, text = split_type(typed or "any")
  return { name = name or rest, optional = optional == "?", type = kind, text = text }
end

local function new_entry(kind, name, module)
  return { kind = kind, name = name, module = module, prose = {}, examples = {}, params = {}, returns = {}, fields = {}, members = {} }
end

-- ---- one block of comment lines ----

local tags = {}

function tags.param(block, rest)
  local item = named(rest)
  table.insert(block.params, item)
  return item
end

function tags.field(block, rest)
  if rest:match "^private " then return nil end
  local item = named(rest)
  table.insert((block.class or block).fields, item)
  return item
end

tags["return"] = function(block, rest)
  local kind, text = split_type(rest)
  local item = { type = kind, text = text }
  table.insert(block.returns, item)
  return item
end

function tags.private(block) block.private = true end

-- Moves the prose, examples and statements that a block has so far to the class or alias that the block names.
local function takes_over(block, entry)
  for _, key in ipairs { "prose", "examples" } do
    for _, each in ipairs(block[key]) do table.insert(entry[key], each) end
    block[key] = {}
  end
  for _, key in ipairs { "waits", "waiting", "raises" } do
    if block[key] ~= nil then entry[key], block[key] = block[key], nil end
  end
end

function tags.class(block, rest, stub)
  local name, more = rest:match "^([%w_.]+)%s*(.*)$"
  local entry = stub:class(name)
  takes_over(block, entry)
  if more:sub(1, 1) == ":" then
    local parents, text = split_type((more:gsub("^:%s*", "")))
    entry.parents, more = {}, text
    for parent in parents:gmatch "[%w_.]+" do table.insert(entry.parents, parent) end
  end
  if more ~= "" then table.insert(entry.prose, more) end
  block.class = entry
end

function tags.alias(block, rest, stub)
  local name, kind = rest:match "^([%w_.]+)%s*(.*)$"
  local entry = new_entry("alias", name, stub.module.name)
  takes_over(block, entry)
  entry.type, entry.text = split_type(kind)
  stub:add(entry)
  block.alias = entry
end

-- Adds a choice of an alias, which is written as `---| "pipe" # ours to read`.
local function add_choice(entry, text)
  local kind, comment = split_type(text)
  entry.type = entry.type == "" and kind or entry.type .. "|" .. kind
  table.insert(entry.fields, { name = kind, type = "", text = comment })
end

local function statement(target, line)
  if line == NOTHING or line == EVERYTHING then
    target.waits = line == EVERYTHING
  elseif line:match "^Waits[%s.:;,]" then
    target.waits, target.waiting = true, line
  elseif line:match "^Does not wait[%s.:;,]" then
    target.waits, target.waiting = false, line
  elseif line:match "^Raises: " then
    target.raises = line:sub(9)
  else
    return nil
  end
  return line:match "^Raises" and "raises" or target.waiting and "waiting" or "none"
end

local function read_example(block, lines, i)
  local code, fence = {}, lines[i]
  repeat
    i = i + 1
    table.insert(code, lines[i])
  until not lines[i] or lines[i] == "```"
  if code[#code] == "```" then code[#code] = nil end
  table.insert((block.class or block).examples, { code = table.concat(code, "\n"), runs = fence ~= "```lua norun" })
  return i
end

-- Reads a line of prose, a statement, or a further line of either.
local function read_text(block, line, open)
  local target = block.class or block
  local key = statement(target, line)
  if key then return key ~= "none" and { target, key } or nil end
  if open and line ~= "" then
    open[1][open[2]] = open[1][open[2]] .. " " .. line
    return open
  end
  table.insert(target.prose, line)
end

local function read_block(stub, lines)
  local block = { prose = {}, examples = {}, params = {}, returns = {}, fields = {} }
  local i, open = 1, nil -- a line without a tag continues the item `open`
  while i <= #lines do
    local line = lines[i]
    local tag, rest = line:match "^@(%a+)%s*(.*)$"
    if tag then
      local item = tags[tag] and tags[tag](block, rest, stub)
      open = item and { item, "text" }
    elseif line:match "^|" and block.alias then
      add_choice(block.alias, line:match "^|%s*(.*)$")
    elseif line:match "^```" then
      i, open = read_example(block, lines, i), nil
    else
      open = read_text(block, line, open)
    end
    i = i + 1
  end
  return block
end

-- ---- a file ----

local Stub = {}
Stub.__index = Stub

function Stub:add(entry)
  table.insert(self.entries, entry)
  return entry
end

-- Returns the entry of a class. The class with the module's name is the module's entry.
function Stub:class(name)
  if name == self.module.name then return self.module end
  return self:add(new_entry("class", name, self.module.name))
end

local function describe(stub, entry, block)
  takes_over(block, entry)
  entry.params, entry.returns, entry.private = block.params, block.returns, block.private
  return stub:add(entry)
end

local function add_function(stub, block, variable, separator, name, params)
  local owner = assert(stub.locals[variable], variable)
  local kind = separator == ":" and "method" or "function"
  local entry = new_entry(kind, owner.name .. separator .. name, stub.module.name)
  entry.owner, entry.key, entry.head = owner, name, ("%s(%s)"):format(name, params)
  describe(stub, entry, block)
  if not entry.private then table.insert(owner.members, entry) end
end

local function add_field(stub, block, variable, name)
  local owner = assert(stub.locals[variable], variable)
  local entry = new_entry("field", owner.name .. "." .. name, stub.module.name)
  entry.owner, entry.key, entry.head, entry.type = owner, name, name, block.typed
  table.insert(owner.members, describe(stub, entry, block))
end

local function attach(stub, block, code)
  local variable = code:match "^local ([%w_]+) = "
  if variable then
    local entry = block.class or stub.module
    takes_over(block, entry)
    stub.locals[variable] = entry
    return
  end
  local owner, separator, name, params = code:match "^function ([%w_]+)([.:])([%w_]+)(%b())"
  if owner then return add_function(stub, block, owner, separator, name, params:sub(2, -2)) end
  owner, name = code:match "^([%w_]+)%.([%w_]+) = "
  if owner then return add_field(stub, block, owner, name) end
  params = code:match "^return function(%b())"
  if params then
    takes_over(block, stub.module)
    stub.module.head, stub.module.params, stub.module.returns = params, block.params, block.returns
  end
end

-- Returns the entries of a stub, the module's own first.
return function(module, text)
  local stub = setmetatable({ entries = {}, locals = {} }, Stub)
  stub.module = stub:add(new_entry("module", module, module))
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    local comment = line:match "^%-%-%-(.*)$"
    if comment then
      table.insert(lines, comment)
    else
      attach(stub, read_block(stub, lines), line)
      lines = {}
    end
  end
  return stub.entries
end
