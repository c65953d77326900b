-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes the body of a request out of a value, a form, a form with files, a file, bytes, or a function that gives pieces.
local err = require "green.error"
local json = require "green.json"
local options = require "green.options"
local url = require "green.url"

-- ---- multipart/form-data (RFC 7578) ----

local LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
local PIECE = 131072 -- bytes at a time of a file whose size is not known
local SMALL = 65536 -- bytes of a file that is read at once

local function new_boundary()
  local letters = {}
  for i = 1, 32 do
    local at = math.random(#LETTERS)
    letters[i] = LETTERS:sub(at, at)
  end
  return "greenlua-" .. table.concat(letters)
end

local PART = { name = "string", value = "any", contents = "string", file = "string", filename = "string", type = "string" }

local function check_part(op, i, part)
  options.check(("%s: multipart[%d]"):format(op, i), part, PART, "field")
  local given = (part.value ~= nil and 1 or 0) + (part.contents and 1 or 0) + (part.file and 1 or 0)
  if not part.name or given ~= 1 then err.misuse("http: multipart[%d]: name and value (or contents, or file) expected", i) end
  for _, text in ipairs { part.name, part.filename or "", part.type or "" } do
    if text:find "[\r\n%z]" then err.raise(op, "EINVAL", "multipart '%s': CR, LF or NUL in its head", part.name) end
  end
end

-- Escapes a name or filename as browsers do.
local function quoted(text) return '"' .. text:gsub('"', "%%22") .. '"' end

local function head_of(part, boundary)
  local filename = part.filename or part.file and require "green.fs".basename(part.file)
  local kind = part.type or filename and require "green.mime".of(filename)
  return ("--%s\r\nContent-Disposition: form-data; name=%s%s\r\n%s\r\n"):format(boundary, quoted(part.name),
    filename and "; filename=" .. quoted(filename) or "", kind and "Content-Type: " .. kind .. "\r\n" or "")
end

-- Makes the piece of a file as large as the file is now: its length is announced, so that what is appended later is not sent.
local function file_piece(op, what, path)
  local stat = require "green.fs".stat(path)
  if not stat then err.raise(op, "ENOENT", "%s: %s: no such file", what, path) end
  if stat.type ~= "file" then err.raise(op, "EINVAL", "%s: %s: not a file", what, path) end
  return { path = path, size = stat.size, op = op }
end

local function pieces_of(op, list, boundary)
  local pieces, length, has_file = {}, 0, false
  for i, part in ipairs(list) do
    check_part(op, i, part)
    local content = part.file and file_piece(op, "multipart", part.file) or tostring(part.value == nil and part.contents or part.value)
    has_file = has_file or part.file ~= nil
    for _, piece in ipairs { head_of(part, boundary), content, "\r\n" } do
      pieces[#pieces + 1] = piece
      length = length + (type(piece) == "string" and #piece or piece.size)
    end
  end
  pieces[#pieces + 1] = "--" .. boundary .. "--\r\n"
  return pieces, length + #pieces[#pieces], has_file
end

-- A source gives the pieces, one with each call: bytes, and parts of large files, which nobody reads into Lua. It opens one file at a
-- time, and none once it is closed.
local Source = {}
Source.__index = Source

local Part = {} -- a part of a file: { file = handle, at = offset, n = bytes }

function Source:__close()
  if self.file then self.file:close() end
  self.file = nil
end

function Source:next_of_file()
  local left = self.left
  if left > SMALL then
    self.left = 0
    return setmetatable({ file = self.file, at = 0, n = left }, Part)
  end
  local bytes = left > 0 and self.file:read(left)
  if bytes then
    self.left = left - #bytes
    return bytes
  end
  self:__close()
  if left > 0 then err.raise(self.piece.op, "EIO", "%s: the file became shorter while it was sent", self.piece.path) end
end

function Source:__call()
  while true do
    local piece = self.file and self:next_of_file()
    if piece then return piece end
    self.at = self.at + 1
    piece = self.pieces[self.at]
    if type(piece) ~= "table" then return piece end
    self.piece, self.left = piece, piece.size
    self.file = require "green.fs".open(piece.path)
  end
end

local function multipart(op, list)
  local boundary = new_boundary()
  local pieces, length, has_file = pieces_of(op, list, boundary)
  local kind = "multipart/form-data; boundary=" .. boundary
  if not has_file then return { bytes = table.concat(pieces), type = kind } end
  return { open = function() return setmetatable({ pieces = pieces, at = 0 }, Source) end, length = length, type = kind }
end

local FILE = { file = "string", type = "string" }

-- Reads a file to its end, or, if the end does not come within SMALL bytes, returns nil.
local function read_small(path)
  local file <close> = require "green.fs".open(path)
  local pieces, size = {}, 0
  for bytes in function() return file:read(SMALL) end do
    pieces[#pieces + 1] = bytes
    size = size + #bytes
    if size > SMALL then return nil end
  end
  return table.concat(pieces)
end

-- The body of a file whose size is known at its end only: a named pipe, or a file of /proc, which says 0.
local function unsized(op, path, kind, once)
  local function open()
    local file
    return setmetatable({}, {
      __call = function()
        if not file then
          local why
          file, why = io.open(path, "rb")
          if not file then err.raise(op, "EACCES", "body: %s", why) end
        end
        return file:read(PIECE)
      end,
      __close = function() if file then file:close() end end,
    })
  end
  return { open = open, type = kind, once = once }
end

-- The body that a file is, which can be read again for a redirect or another try. A small one is read at once, and leaves with the head.
local function of_file(op, given)
  options.check(op .. ": body", given, FILE, "field")
  local path = given.file
  if not path then err.misuse("%s: body: a string, a function or { file = path } expected", op) end
  local kind = given.type or require "green.mime".of(path)
  local stat = require "green.fs".stat(path)
  if stat and stat.type == "fifo" then return unsized(op, path, kind, true) end
  local piece = file_piece(op, "body", path)
  local bytes = piece.size <= SMALL and read_small(path)
  if bytes then return { bytes = bytes, type = kind } end
  if piece.size == 0 then return unsized(op, path, kind) end
  return { open = function() return setmetatable({ pieces = { piece }, at = 0 }, Source) end, length = piece.size, type = kind }
end

-- Puts the trailers beside the body: a list that is known, and announced in the head, or a function that gives a list once the body has ended.
local function add_trailers(content, op, given)
  local trailers = require "green.http.trailers"
  if type(given) == "table" then
    content.trailers, content.announced = trailers.list(op, given), trailers.announced(given)
  elseif given then
    content.trailers = function() return trailers.list(op, given() or {}) end
  end
  return content
end

-- The body that a function gives: it is `once`, since the function cannot be asked again from the start.
local function of_function(op, opts)
  local next = opts.body
  local source = { __call = function() return next() end, __close = function() end }
  return add_trailers({ open = function() return setmetatable({}, source) end, length = opts.length, once = true }, op, opts.trailers)
end

local M = { Part = Part }

--- Returns the body that the options ask for, nil for none: either its `bytes`, or `open`, which returns a source (each call gives the
--- next piece; <close> closes it), and the `length` if that is known; its content `type`; whether it can be sent only `once`; and its
--- `trailers`, with the value of the header Trailer that has `announced` them.
function M.encode(op, opts)
  if next(opts) == nil then return nil end
  local given = (opts.json ~= nil and 1 or 0) + (opts.form and 1 or 0) + (opts.body and 1 or 0) + (opts.multipart and 1 or 0)
  if given > 1 then err.misuse("http: only one of json, form, body and multipart makes a request body") end
  if opts.length and type(opts.body) ~= "function" then err.misuse("%s: option 'length': it is for a body that is a function", op) end
  if opts.trailers and (type(opts.body) ~= "function" or opts.length) then
    err.misuse("%s: option 'trailers': they follow a body that is a function, without a length", op)
  end
  if opts.json ~= nil then return { bytes = json.encode(opts.json), type = "application/json" } end
  if opts.form then return { bytes = url.encode_query(opts.form), type = "application/x-www-form-urlencoded" } end
  if opts.multipart then return multipart(op, opts.multipart) end
  if type(opts.body) == "table" then return of_file(op, opts.body) end
  if type(opts.body) == "function" then return of_function(op, opts) end
  return opts.body and { bytes = opts.body }
end

return M
