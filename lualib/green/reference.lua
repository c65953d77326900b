-- SPDX-License-Identifier: MIT
-- The reference behind help() at the prompt and `greenlua doc` in the shell, which is made of the stubs in lualib/meta.
local fault = require "green.error"
local index_of = require "green.reference.index"
local native = require "green.reference.native"
local options = require "green.options"
local printer = require "green.reference.print"
local values = require "green.reference.values"

local M = {}

local SUGGESTIONS = 5
local MENTIONS = 20
local WIDEST = 100
local PLAIN = 80

local function plain(text) return text end
local function bold(text) return "\27[1m" .. text .. "\27[0m" end
local function dim(text) return "\27[2m" .. text .. "\27[0m" end

-- Tells whether stdout is a terminal that takes colours, by the convention of no-color.org.
local function is_colourful()
  local no = os.getenv "NO_COLOR"
  return native.columns() ~= nil and (no == nil or no == "") and os.getenv "TERM" ~= "dumb"
end

local function layout_of(opts)
  local colour = opts and opts.color
  if colour == nil then colour = is_colourful() end
  local width = opts and opts.width or native.columns() or PLAIN
  return { width = math.max(40, math.min(width, WIDEST)), bold = colour and bold or plain, dim = colour and dim or plain }
end

local function display_names(entries)
  local names = {}
  for i, entry in ipairs(entries) do names[i] = entry.name:gsub("^green%.", "") end
  return table.concat(names, ", ")
end

-- Returns the text for a name that no entry has alone: the entries that may be meant, or names like it.
local function excuse(name, index, several, layout)
  if #several > 0 then return ("'%s' is several:\n%s"):format(name, printer.list(several, layout)) end
  local near = index:near(name, SUGGESTIONS)
  if #near == 0 then return ("no '%s' here; help() lists the modules"):format(name) end
  return ("no '%s' here; did you mean %s?"):format(name, display_names(near))
end

-- Returns the list of entries whose text has this word, nil when none has. A text that looks like a mistyped name is not searched for.
local function mentions(name, index, layout)
  if name:find "[.:]" and #index:near(name, 1) > 0 then return nil end
  local found, n = index:search(name, MENTIONS)
  if n == 0 then return nil end
  local more = n > #found and ("\n  ... and %d more"):format(n - #found) or ""
  return ("nothing is called '%s'; it is spoken of in\n%s%s"):format(name, printer.list(found, layout), more)
end

function M.find(name)
  if type(name) ~= "string" then fault.misuse("reference.find: name: a string expected, got %s", type(name)) end
  local entry, several = index_of():find(name)
  if entry then return entry end
  return nil, #several > 0 and several or index_of():near(name, SUGGESTIONS)
end

function M.text(what, opts)
  opts = options.check("reference.text", opts, { color = "boolean", width = "count" })
  local index, layout = index_of(), layout_of(opts)
  if what == nil then return printer.overview(index, layout) end
  local entry, several
  if type(what) == "string" then entry, several = index:find(what) else entry = values.find(index, what) end
  if entry then return printer.entry(entry, index, layout), true end
  local found = type(what) == "string" and #several == 0 and mentions(what, index, layout)
  if found then return found, true end
  if type(what) == "string" then return excuse(what, index, several, layout), false end
  return ("nothing is known about this %s; help() lists the modules"):format(type(what)), false
end

function M.help(...)
  if select("#", ...) > 0 and (...) == nil then return print "nothing is known about nil; help() lists the modules" end
  print((M.text((...))))
end

-- Returns the names by which people call an entry: a method by its class, and by its module where only one method is meant ("task:join").
local function usual_names(entry, index)
  if entry.kind == "module" then return { entry.name } end
  local name = entry.name:gsub("^green%.", "")
  if entry.kind ~= "method" then return { name } end
  local by_module = ("%s:%s"):format(entry.module:gsub("^green%.", ""), entry.key)
  return { name, index:find(by_module) == entry and by_module or nil }
end

function M.names()
  local index, names, seen = index_of(), {}, {}
  for _, entry in ipairs(index.entries) do
    for _, name in ipairs(entry.private and {} or usual_names(entry, index)) do
      if not seen[name] then table.insert(names, name) end
      seen[name] = true
    end
  end
  table.sort(names)
  return names
end

return M
