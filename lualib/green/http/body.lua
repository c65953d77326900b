-- SPDX-License-Identifier: MIT
-- Internal.
-- The body of a request: of a value, a form, a form with files, or bytes.
local err = require "green.error"
local json = require "green.json"
local mime = require "green.mime"
local url = require "green.url"

-- ---- multipart/form-data (RFC 7578) ----

local LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"

local function new_boundary()
  local letters = {}
  for i = 1, 32 do
    local at = math.random(#LETTERS)
    letters[i] = LETTERS:sub(at, at)
  end
  return "greenlua-" .. table.concat(letters)
end

local function check_part(op, i, part)
  if type(part) ~= "table" or type(part.name) ~= "string" or (part.value or part.contents) == nil then
    err.misuse("http: multipart[%d]: name and value (or contents) expected", i)
  end
  for _, text in ipairs { part.name, part.filename or "", part.type or "" } do
    if type(text) ~= "string" then err.misuse("http: multipart '%s': filename and type are strings", part.name) end
    if text:find "[\r\n%z]" then err.raise(op, "EINVAL", "multipart '%s': CR, LF or NUL in its head", part.name) end
  end
end

-- As browsers escape it.
local function quoted(text) return '"' .. text:gsub('"', "%%22") .. '"' end

local function head_of(part, boundary)
  local kind = part.type or part.filename and mime.of(part.filename)
  return ("--%s\r\nContent-Disposition: form-data; name=%s%s\r\n%s\r\n"):format(boundary, quoted(part.name),
    part.filename and "; filename=" .. quoted(part.filename) or "", kind and "Content-Type: " .. kind .. "\r\n" or "")
end

local function multipart(op, list)
  local boundary, out = new_boundary(), {}
  for i, part in ipairs(list) do
    check_part(op, i, part)
    out[#out + 1] = head_of(part, boundary)
    out[#out + 1] = tostring(part.value or part.contents)
    out[#out + 1] = "\r\n"
  end
  out[#out + 1] = "--" .. boundary .. "--\r\n"
  return table.concat(out), "multipart/form-data; boundary=" .. boundary
end

local M = {}

--- The body of these options and its Content-Type, as far as there are any.
function M.encode(op, opts)
  local given = (opts.json ~= nil and 1 or 0) + (opts.form and 1 or 0) + (opts.body and 1 or 0) + (opts.multipart and 1 or 0)
  if given > 1 then err.misuse("http: only one of json, form, body and multipart makes a request body") end
  if opts.json ~= nil then return json.encode(opts.json), "application/json" end
  if opts.form then return url.encode_query(opts.form), "application/x-www-form-urlencoded" end
  if opts.multipart then return multipart(op, opts.multipart) end
  return opts.body
end

return M
