-- SPDX-License-Identifier: MIT
-- Internal.
-- multipart/form-data as it arrives: the body is never held as a whole. A part is read until the next one is
-- asked for; what was not read of it is skipped.
local fault = require "green.error"
local fields = require "green.http.fields.native"
local options = require "green.options"
local url = require "green.url"

local MAX_PARTS = 100
local MAX_HEAD = 16 * 1024
local MAX_BODY = 1024 * 1024
local MAX_FILE = 64 * 1024 * 1024

local function bad(why) fault.status(400, "request.parts", "EINVAL", "malformed multipart body: %s", why) end

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

-- The header lines of a part. They are put together once they are there, however small the pieces are they come in.
function Source:head()
  local pieces, size, tail = { self.buffer }, #self.buffer, self.buffer:sub(-3)
  local whole = self.buffer
  while not whole:find("\r\n\r\n", 1, true) do
    if size > MAX_HEAD then fault.status(413, "request.parts", "EMSGSIZE", "the headers of a part are too long") end
    local chunk = self.next()
    if not chunk then bad("it ends early") end
    pieces[#pieces + 1], size, whole = chunk, size + #chunk, tail .. chunk
    tail = whole:sub(-3)
  end
  whole = table.concat(pieces)
  local at = whole:find("\r\n\r\n", 1, true)
  if at > MAX_HEAD then fault.status(413, "request.parts", "EMSGSIZE", "the headers of a part are too long") end
  self.buffer = whole:sub(at + 4)
  return whole:sub(1, at + 1)
end

-- ---- headers ----

-- Browsers write a quote as %22, and line breaks as %0D and %0A.
local MARKS = { ["%22"] = '"', ["%0D"] = "\r", ["%0d"] = "\r", ["%0A"] = "\n", ["%0a"] = "\n" }

local function decode_marks(text) return (text:gsub("%%[02][2AaDd]", MARKS)) end

local function decode_strictly(text)
  if text:gsub("%%%x%x", ""):find("%", 1, true) then bad("an invalid filename") end
  return url.decode(text)
end

-- filename*=UTF-8''%C3%A9.txt (RFC 8187); nil when it is in a charset that is none of the web's any more.
local function extended_of(value)
  local charset, text = value:match("^([^']*)'[^']*'(.*)$")
  charset = charset and charset:lower()
  if charset == "utf-8" then return decode_strictly(text) end
  if charset ~= "iso-8859-1" then return nil end
  return (decode_strictly(text):gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end))
end

-- Only the last component: what a browser calls a name, an attacker may call "../../etc/passwd". "" when nothing is left that
-- could name a file in a folder.
local function last_component(path)
  local stop = #path
  local function is_slash(at) return at > 0 and (path:byte(at) == 0x2f or path:byte(at) == 0x5c) end
  while is_slash(stop) do stop = stop - 1 end
  local start = stop
  while start > 0 and not is_slash(start) do start = start - 1 end
  local name = path:sub(start + 1, stop)
  return (name == "." or name == "..") and "" or name
end

local function filename_of(parameters)
  local extended, plain = parameters["filename*"], parameters.filename
  local name = extended and extended_of(extended) or plain and decode_marks(plain)
  return name and last_component((name:gsub("\0", ""))) or extended and "" or nil
end

-- ---- parts ----

local Part = { __name = "green.part" }
Part.__index = Part

local is_part = fault.receiver(Part, "part")

function Part:chunks()
  is_part(self, "chunks")
  return function()
    if self.over then return nil end
    self.begun = true
    local bytes = self.source:upto()
    self.over = bytes == nil
    return bytes
  end
end

function Part:body(max)
  is_part(self, "body")
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

-- What is left to read of it: all of it.
local function pieces_of(part)
  local text = part.text
  if not text then return part:chunks() end
  return function()
    local all = text
    text = nil
    return all
  end
end

function Part:save(path, max)
  is_part(self, "save")
  options.argument("part:save", "path", path, "string")
  max = options.argument("part:save", "max", max or MAX_FILE, "bytes")
  if not self.text and (self.begun or self.over) then fault.raise("part.save", "ECLOSED", "part '%s' was read already", self.name) end
  local part <close> = require("green.whole_file").new(path)
  local size = 0
  part:create()
  for chunk in pieces_of(self) do
    size = size + #chunk
    if size > max then fault.status(413, "part.save", "EMSGSIZE", "part '%s' is larger than %d bytes", self.name, max) end
    part.file:write(chunk)
  end
  part:finish()
  return size
end

local function read_part(source)
  local headers = fields.lines(source:head())
  if not headers then bad("a part with an invalid header") end
  local kind, parameters = fields.parameters(headers["content-disposition"] or "", true)
  if kind ~= "form-data" or not parameters or not parameters.name then bad("a part without a name") end
  source.between = false
  source.part = setmetatable({
    name = decode_marks(parameters.name), filename = filename_of(parameters), headers = headers, source = source,
  }, Part)
  return source.part
end

local M = {}

-- An iterator of parts over an iterator of chunks (a function and its state).
function M.parts(boundary, chunks, state)
  if not boundary or boundary == "" or #boundary > 70 then bad("no usable boundary") end
  local source = setmetatable({ next = function() return chunks(state) end, buffer = "\r\n", delimiter = "\r\n--" .. boundary }, Source)
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
