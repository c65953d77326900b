-- SPDX-License-Identifier: MIT
-- multipart/form-data as it arrives: the body is never held as a whole. A part is read until the next one is
-- asked for; what was not read of it is skipped.
local fault = require "green.error"
local url = require "green.url"

local MAX_PARTS = 100
local MAX_HEAD = 16 * 1024
local MAX_BODY = 1024 * 1024

local function bad(why) fault.status(400, "request.parts", "EINVAL", "malformed multipart body: %s", why) end

local function boundary_of(content_type)
  local boundary = content_type:match('[;%s][Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]="([^"]*)"')
    or content_type:match("[;%s][Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]=([^;%s]*)")
  if not boundary or boundary == "" or #boundary > 70 then bad("no usable boundary") end
  return boundary
end

-- ---- the source: a buffer over the chunks ----

local Source = {}
Source.__index = Source

-- Another chunk onto the buffer. At the end of the body that is an error: each use still expects a delimiter.
function Source:more()
  local chunk = self.next()
  if not chunk then bad("it ends early") end
  self.buffer = self.buffer .. chunk
end

-- The next bytes before the delimiter; nil once it is reached, and consumed. A delimiter may be split over
-- chunks, so the last bytes that could begin one are held back.
function Source:upto()
  if self.between then return nil end
  while true do
    local at = self.buffer:find(self.delimiter, 1, true)
    local safe = at and at - 1 or #self.buffer - #self.delimiter + 1
    if safe > 0 then
      local bytes = self.buffer:sub(1, safe)
      self.buffer = self.buffer:sub(safe + 1)
      return bytes
    elseif at then
      self.buffer = self.buffer:sub(#self.delimiter + 1)
      self.between = true
      return nil
    end
    self:more()
  end
end

-- What follows a delimiter: true = a part, false = the end.
function Source:part_follows()
  while #self.buffer < 2 do self:more() end
  if self.buffer:sub(1, 2) == "--" then return false end
  while not self.buffer:find("\n", 1, true) do
    if #self.buffer > 256 then bad("the line of a boundary goes on") end
    self:more()
  end
  local stop = select(2, self.buffer:find("^[ \t]*\r\n"))
  if not stop then bad("the line of a boundary goes on") end
  self.buffer = self.buffer:sub(stop + 1)
  return true
end

function Source:head()
  while #self.buffer < 2 do self:more() end
  if self.buffer:sub(1, 2) == "\r\n" then bad("a part without headers") end
  local from = 1
  while true do
    local at = self.buffer:find("\r\n\r\n", from, true)
    if (at or #self.buffer) > MAX_HEAD then fault.status(413, "request.parts", "EMSGSIZE", "the headers of a part are too long") end
    if at then
      local head = self.buffer:sub(1, at + 1)
      self.buffer = self.buffer:sub(at + 4)
      return head
    end
    from = math.max(1, #self.buffer - 2)
    self:more()
  end
end

-- ---- headers ----

local function headers_of(head)
  local headers = {}
  for line in head:gmatch("(.-)\r\n") do
    local name, value = line:match("^([%w!#$%%&'*+%-.^_`|~]+):[ \t]*(.-)[ \t]*$")
    if not name or value:find("[\0\r\n]") then bad("a part with an invalid header") end
    headers[name:lower()] = value
  end
  return headers
end

-- Browsers write a quote as %22, others as \"; a lone backslash is part of the name.
local function parameter(value, name)
  local quoted = value:gsub('\\"', "%%22"):match("[;%s]" .. name .. '="([^"]*)"')
  if quoted then return (quoted:gsub("%%22", '"'):gsub("%%0[Dd]", "\r"):gsub("%%0[Aa]", "\n")) end
  return value:match("[;%s]" .. name .. "=([^;%s\"]+)")
end

-- Only the last component: what a browser calls a name, an attacker may call "../../etc/passwd".
local function filename_of(disposition)
  local extended = disposition:match("[;%s]filename%*=[Uu][Tt][Ff]%-8'[^']*'([^;%s]+)")
  if extended and extended:gsub("%%%x%x", ""):find("%", 1, true) then bad("an invalid filename") end
  local name = extended and url.decode(extended) or parameter(disposition, "filename")
  return name and name:match("[^/\\]*$"):gsub("\0", "") or nil
end

-- ---- parts ----

local Part = { __name = "green.part" }
Part.__index = Part

function Part:chunks()
  return function()
    if self.over then return nil end
    local bytes = self.source:upto()
    self.over = bytes == nil
    return bytes
  end
end

function Part:body(max)
  max = max or MAX_BODY
  if self.text then return self.text end
  local bytes, size = {}, 0
  for chunk in self:chunks() do
    size = size + #chunk
    if size > max then fault.status(413, "part.body", "EMSGSIZE", "part '%s' is larger than %d bytes", self.name, max) end
    bytes[#bytes + 1] = chunk
  end
  self.text = table.concat(bytes)
  return self.text
end

local function read_part(source)
  local headers = headers_of(source:head())
  local disposition = headers["content-disposition"] or ""
  local name = disposition:lower():find("^form%-data") and parameter(disposition, "name")
  if not name then bad("a part without a name") end
  source.between = false
  source.part = setmetatable({ name = name, filename = filename_of(disposition), headers = headers, source = source }, Part)
  return source.part
end

local M = {}

-- An iterator of parts over an iterator of chunks (a function and its state).
function M.parts(content_type, chunks, state)
  local source = setmetatable({ next = function() return chunks(state) end, buffer = "\r\n", delimiter = "\r\n--" .. boundary_of(content_type) }, Source)
  local count = 0
  return function()
    if source.ended then return nil end
    repeat until not source:upto()
    if source.part then source.part.over = true end
    if not source:part_follows() then
      source.ended = true
      for _ in source.next do end -- the epilogue means nothing
      return nil
    end
    count = count + 1
    if count > MAX_PARTS then fault.status(413, "request.parts", "EMSGSIZE", "more than %d parts", MAX_PARTS) end
    return read_part(source)
  end
end

return M
