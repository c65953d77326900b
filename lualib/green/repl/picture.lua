-- SPDX-License-Identifier: MIT
-- Internal.
-- This file draws a text that is being typed: it lays the text out in rows, chooses those around the cursor when the screen has fewer, and
-- places the cursor.
local tokens = require "green.repl.tokens"
local width = require "green.repl.width"

local M = {}

local HIGHLIGHTED = 20000 -- bytes up to which a text is coloured
local COLOURS = { string = "\27[32m", number = "\27[36m", keyword = "\27[35m", comment = "\27[2m" }
local RESET = "\27[0m"

-- Returns a table that maps the bytes of coloured tokens to their colours.
local function colours_of(text)
  local colours = {}
  if #text > HIGHLIGHTED then return colours end
  for _, token in ipairs(tokens.list(text)) do
    local colour = COLOURS[token.kind]
    if colour then
      for at = token.from, token.to do colours[at] = colour end
    end
  end
  return colours
end

local Layout = {}
Layout.__index = Layout

function Layout:put(shown, columns, colour)
  if self.column + columns > self.width then self:row() end
  if colour ~= self.colour then
    self.parts[#self.parts + 1] = (self.colour and RESET or "") .. (colour or "")
    self.colour = colour
  end
  self.parts[#self.parts + 1] = shown
  self.column = self.column + columns
end

function Layout:row()
  if self.colour then self.parts[#self.parts + 1] = RESET end
  self.rows[#self.rows + 1] = { text = table.concat(self.parts), columns = self.column }
  self.parts, self.column, self.colour = {}, 0, nil
end

function Layout:put_all(text, colour)
  local at = 1
  while at <= #text do
    local following, shown, columns = width.char(text, at)
    self:put(shown, columns, colour)
    at = following
  end
end

function Layout:mark()
  if self.column >= self.width then self:row() end
  self.cursor_row, self.cursor_column = #self.rows + 1, self.column
end

local function lay_out(opts)
  local text, cursor = opts.text, opts.cursor
  local layout = setmetatable({ rows = {}, parts = {}, column = 0, width = math.max(opts.columns, 8) }, Layout)
  local colours = opts.color and colours_of(text) or {}
  layout:put_all(opts.prompt, opts.color and opts.prompt_colour or nil)
  local at = 1
  while at <= #text do
    if at == cursor + 1 then layout:mark() end
    if text:byte(at) == 10 then
      layout:row()
      layout:put_all(opts.prompt2, opts.color and opts.prompt_colour or nil)
      at = at + 1
    elseif text:byte(at) == 9 then
      layout:put(" ", 1)
      layout:put(" ", 1)
      at = at + 1
    else
      local following, shown, columns = width.char(text, at)
      layout:put(shown, columns, colours[at])
      at = following
    end
  end
  if cursor >= #text then layout:mark() end
  layout:row()
  return layout
end

-- Returns the first and the last row that are shown: all rows, or as many as the screen has, with the cursor's among them.
local function window(layout, lines)
  local count = #layout.rows
  if count <= lines then return 1, count end
  local first = math.max(1, math.min(layout.cursor_row - lines // 2, count - lines + 1))
  return first, first + lines - 1
end

local function up(n) return n > 0 and ("\27[%dA"):format(n) or "" end

--- Draws a picture. `opts` holds text, cursor, prompt, prompt2, columns, lines, color and prompt_colour. Returns the bytes that show the
--- picture, and its shape, of which M.eraser makes the bytes that erase it.
function M.draw(opts)
  local layout = lay_out(opts)
  local first, last = window(layout, math.max(opts.lines, 2))
  local parts, above = {}, {}
  for i = first, last do
    parts[#parts + 1] = layout.rows[i].text
    if i < layout.cursor_row then above[#above + 1] = layout.rows[i].columns end
  end
  local move = up(last - layout.cursor_row) .. "\r" .. (layout.cursor_column > 0 and ("\27[%dC"):format(layout.cursor_column) or "")
  return table.concat(parts, "\r\n") .. move, { above = above, column = layout.cursor_column }
end

--- Returns the bytes that erase a picture on a terminal of now so many columns: one that became narrower has wrapped the picture's rows.
function M.eraser(shape, columns)
  local rows = shape.column // columns
  for _, used in ipairs(shape.above) do rows = rows + math.max(1, (used + columns - 1) // columns) end
  return "\r" .. up(rows) .. "\27[J"
end

--- Returns the bytes of the whole text, also of the rows that the screen had no room for, to stay on the terminal.
function M.whole(opts)
  local layout = lay_out(opts)
  local parts = {}
  for i, row in ipairs(layout.rows) do parts[i] = row.text end
  return table.concat(parts, "\r\n") .. "\r\n"
end

return M
