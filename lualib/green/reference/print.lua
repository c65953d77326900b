-- SPDX-License-Identifier: MIT
-- Internal.
-- This file prints entries for people. `layout` holds the width in columns, and bold(text) and dim(text) for terminals.
local INDENT = "  "

-- ---- lines ----

local function wrap(text, width, indent, lines)
  local line = indent
  for word in text:gmatch "%S+" do
    if #line > #indent and utf8.len(line .. " " .. word, 1, -1, true) > width then
      table.insert(lines, line)
      line = indent
    end
    line = line .. (#line > #indent and " " or "") .. word
  end
  if #line > #indent then table.insert(lines, line) end
end

-- Adds prose: paragraphs are wrapped, lists keep their lines.
local function add_prose(out, prose, indent)
  local paragraph = {}
  local function flush()
    if #paragraph > 0 then wrap(table.concat(paragraph, " "), out.width, indent, out) end
    paragraph = {}
  end
  for _, line in ipairs(prose) do
    if line == "" then
      flush()
      if out[#out] ~= "" then table.insert(out, "") end
    elseif line:match "^%s*[-*|] " then
      flush()
      table.insert(out, indent .. line)
    else
      table.insert(paragraph, line)
    end
  end
  flush()
  while out[#out] == "" do table.remove(out) end
end

-- Adds rows of name, type and text in columns; the text is wrapped in its column.
local function add_rows(out, rows, indent)
  local left = 0
  for _, row in ipairs(rows) do left = math.max(left, #row[1]) end
  left = math.min(left, 34)
  for _, row in ipairs(rows) do
    local lead = indent .. row[1] .. (" "):rep(left - #row[1]) .. INDENT
    local rest = row[2] .. (row[3] and row[3] ~= "" and (row[2] == "" and "" or " - ") .. row[3] or "")
    local lines = {}
    wrap(rest, out.width, (" "):rep(#indent + left + 2), lines)
    if lines[1] then lines[1] = lead .. lines[1]:match "^%s*(.*)$" else lines[1] = indent .. row[1] end
    for _, line in ipairs(lines) do table.insert(out, line) end
  end
end

local function heading(out, text)
  if #out > 0 and out[#out] ~= "" then table.insert(out, "") end
  table.insert(out, out.bold(text))
end

-- ---- parts ----

local function first_sentence(prose)
  local text = {}
  for _, line in ipairs(prose) do
    if line == "" then break end
    table.insert(text, line)
  end
  text = table.concat(text, " ")
  return text:match "^(.-%.)%s" or text
end

local function display(entry)
  if entry.kind == "stock" then return entry.head or entry.name end
  local owner = entry.owner
  if not owner then return entry.name .. (entry.head or "") end
  if entry.kind == "method" then return ("%s:%s"):format(owner.name:match "[^.]*$", entry.head) end
  return owner.name:gsub("^green%.", "") .. "." .. entry.head
end

local function item_rows(items)
  local rows = {}
  for _, item in ipairs(items) do
    table.insert(rows, { item.name .. (item.optional and "?" or ""), item.type, item.text })
  end
  return rows
end

-- Returns what an entry says under `key`, or else its owner, or its module.
local function inherited(entry, key, index)
  if entry[key] ~= nil then return entry[key] end
  if entry.owner and entry.owner[key] ~= nil then return entry.owner[key] end
  local module = index:module(entry.module)
  return module and module[key]
end

local function add_statements(out, entry, index)
  if entry.kind ~= "function" and entry.kind ~= "method" and not entry.head then return end
  local waits = entry.waiting or (inherited(entry, "waits", index) and "Waits." or "Does not wait.")
  local raises = inherited(entry, "raises", index)
  table.insert(out, "")
  wrap(waits, out.width, INDENT, out)
  if raises then wrap("Raises: " .. raises, out.width, INDENT, out) end
end

local function add_fields(out, entry)
  if #entry.fields == 0 then return end
  add_rows(out, item_rows(entry.fields), INDENT)
end

local function add_type(out, entry)
  if entry.type and entry.type ~= "" then wrap("= " .. entry.type .. " " .. (entry.text or ""), out.width, INDENT, out) end
end

local add_types

-- Adds the types that have no page of their own: tables of options and results with the fields that they inherit, and aliases.
function add_types(out, items, index, seen)
  local function add(name)
    local entry = index:type(name)
    if not entry or seen[entry] or #entry.members > 0 then return end
    seen[entry] = true
    heading(out, entry.name)
    add_type(out, entry)
    add_fields(out, entry)
    for _, parent in ipairs(entry.parents or {}) do add(parent) end
    if entry.kind == "class" then add_types(out, entry.fields, index, seen) end
  end
  for _, item in ipairs(items) do
    for name in item.type:gmatch "green%.[%w_.]+" do add(name) end
  end
end

-- Returns an entry's own examples, or else one of its class or module in which its name is used.
local function examples_of(entry, index)
  if #entry.examples > 0 then return entry.examples end
  local found = {}
  for _, from in ipairs { entry.owner or false, index:module(entry.module) or false } do
    for _, example in ipairs(from and entry.key and from.examples or {}) do
      if #found == 0 and (" " .. example.code .. " "):find("[.:]" .. entry.key .. "[^%w_]") then table.insert(found, example) end
    end
  end
  return found
end

local function add_examples(out, entry, index)
  local examples = examples_of(entry, index)
  for i, example in ipairs(examples) do
    if i == 1 then heading(out, #examples == 1 and "Example" or "Examples") else table.insert(out, "") end
    for line in (example.code .. "\n"):gmatch "([^\n]*)\n?" do table.insert(out, line == "" and "" or INDENT .. line) end
  end
end

local function add_returns(out, entry)
  if #entry.returns == 0 then return end
  heading(out, "Returns")
  local rows = {}
  for _, item in ipairs(entry.returns) do table.insert(rows, { item.type, "", item.text }) end
  add_rows(out, rows, INDENT)
end

local function add_members(out, entry, index)
  local groups = { { entry } }
  if entry.kind == "module" then
    for _, other in ipairs(index.entries) do
      if other.kind == "class" and other.module == entry.name and #other.members > 0 then table.insert(groups, { other }) end
    end
  end
  for _, group in ipairs(groups) do
    local owner, rows = group[1], {}
    for _, member in ipairs(owner.members) do table.insert(rows, { display(member), "", first_sentence(member.prose) }) end
    if #rows > 0 then
      heading(out, owner == entry and (entry.kind == "class" and "Methods" or "Functions") or owner.name)
      add_rows(out, rows, INDENT)
    end
  end
end

-- ---- whole texts ----

local function new_out(layout) return { width = layout.width, bold = layout.bold, dim = layout.dim } end

local function finish(out) return table.concat(out, "\n") end

local function print_stock(out, entry)
  table.insert(out, out.bold(display(entry)))
  table.insert(out, "")
  table.insert(out, ("%sLua's own: section %s of the manual, %s"):format(INDENT, entry.section, entry.anchor))
  if entry.waits then table.insert(out, INDENT .. "In greenlua it waits without holding up other tasks.") end
  return finish(out)
end

local KIND = { class = "class", alias = "type" }

local M = {}

local function add_title(out, entry)
  local title = display(entry)
  local aside = KIND[entry.kind] or (entry.kind ~= "module" and entry.module) or ""
  local gap = math.max(2, math.min(out.width, 80) - #title - #aside)
  table.insert(out, out.bold(title) .. (aside ~= "" and (" "):rep(gap) .. out.dim(aside) or ""))
  if #entry.prose > 0 or entry.type then table.insert(out, "") end
end

-- Returns the page of one entry.
function M.entry(entry, index, layout)
  local out, seen = new_out(layout), { [entry] = true }
  if entry.kind == "stock" then return print_stock(out, entry) end
  add_title(out, entry)
  add_prose(out, entry.prose, INDENT)
  add_statements(out, entry, index)
  add_type(out, entry)
  if #entry.params > 0 then
    heading(out, "Takes")
    add_rows(out, item_rows(entry.params), INDENT)
  end
  add_types(out, entry.params, index, seen)
  add_returns(out, entry)
  add_types(out, entry.returns, index, seen)
  if #entry.fields > 0 and entry.kind ~= "alias" then heading(out, "Fields") end
  add_fields(out, entry)
  add_types(out, entry.fields, index, seen)
  for _, parent in ipairs(entry.parents or {}) do add_types(out, { { type = parent } }, index, seen) end
  add_members(out, entry, index)
  add_examples(out, entry, index)
  return finish(out)
end

-- Returns the list of modules, a line for each.
function M.overview(index, layout)
  local out, rows = new_out(layout), {}
  heading(out, "The modules of greenlua")
  for _, module in ipairs(index.modules) do
    table.insert(rows, { module.name, "", first_sentence(module.prose) })
  end
  add_rows(out, rows, INDENT)
  return finish(out)
end

-- Returns a list of entries, a line for each.
function M.list(entries, layout)
  local out, rows = new_out(layout), {}
  for _, entry in ipairs(entries) do
    table.insert(rows, { display(entry), "", entry.kind == "stock" and "Lua's own" or first_sentence(entry.prose) })
  end
  add_rows(out, rows, INDENT)
  return finish(out)
end

M.display = display
M.examples_of = examples_of
M.inherited = inherited

return M
