-- SPDX-License-Identifier: MIT
-- Internal.
-- This file undoes the content codings of a body. The task that reads the body decodes it, a slice at a time: so a
-- decompression bomb delays nobody else, and is given up where the body grows too large. fail(code, format, ...) raises for it.
local fault = require "green.error"
local native = require "green.coding.native"

local MANY = 5 -- nobody but an attacker puts more codings around one body

local M = { ACCEPT = "gzip, deflate, br, zstd" }

--- Returns the decoders that undo a Content-Encoding, the outermost coding's first, or nil for none; and the codings that stay, or nil.
--- An unknown coding stays, with all codings inside it. fail(code, format, ...) raises.
function M.decoders(encoding, fail)
  local names, decoders = {}, {}
  for name in encoding:gmatch "[^,%s]+" do
    if name:lower() ~= "identity" then names[#names + 1] = name end
  end
  if #names > MANY then fail("EPROTO", "its body is coded %d times", #names) end
  while #names > 0 do
    local decoder = native.decoder(names[#names])
    if not decoder then break end
    decoders[#decoders + 1] = { native = decoder, name = table.remove(names):lower() }
  end
  return decoders[1] and decoders, names[1] and table.concat(names, ", ")
end

-- Returns a function that gives the next decoded bytes, nil at the end, of what next() gives. More than `max` bytes are an error.
local function undone(decoder, next, max, fail)
  local size = 0
  return function()
    while true do
      local bytes, why = decoder.native:pull()
      if bytes == false then fail("EPROTO", "its %s body is %s", decoder.name, why) end
      if bytes and bytes ~= "" then
        size = size + #bytes
        if size > max then fail("EMSGSIZE", "the body is larger than max_body") end
        return bytes
      end
      if not bytes then
        local coded = next()
        if not coded then
          if not decoder.native:ended() then fail("EPROTO", "its %s body is cut off", decoder.name) end
          return nil
        end
        decoder.native:feed(coded)
      end
    end
  end
end

--- Returns a function that gives the next decoded bytes, nil at the end, of what next() gives; more than `max` bytes are an error.
function M.undone(decoders, next, max, fail)
  for _, decoder in ipairs(decoders) do next = undone(decoder, next, max, fail) end
  return next
end

local function close_all(decoders)
  for _, decoder in ipairs(decoders) do decoder.native:close() end
end

local Open = { __close = close_all } -- decoders hold megabytes that the collector does not see, so that their scope frees them

--- Makes a value for a <close> variable of decoders.
function M.scope(decoders) return setmetatable(decoders, Open) end

--- Returns a whole body decoded; more than `max` bytes are an error.
function M.decode(body, decoders, max, fail)
  local _ <close> = M.scope(decoders)
  local function once()
    local all = body
    body = nil
    return all
  end
  local pieces = {}
  for piece in M.undone(decoders, once, max, fail) do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

-- ---- a body that is read in pieces ----

local Reader = {}
Reader.__index = Reader

--- Returns a reader with the methods of `reader`, which gives the decoded bytes.
function M.reader(reader, decoders, fail)
  local next = M.undone(decoders, function() return reader:read() end, math.huge, fail)
  return setmetatable({ reader = reader, decoders = decoders, next = next }, Reader)
end

function Reader:read()
  if self.over then return self.reader:read() end -- after the end, the inner reader's answer holds
  if self.busy then fault.raise("http.read", "EBUSY", "another task reads this response") end
  if self.broken then error(self.broken, 0) end
  self.busy = true
  local ok, bytes = pcall(self.next)
  self.busy = false
  if not ok and self.over then return self.reader:read() end -- another task closed this reader meanwhile, which the inner one reports
  if not ok and fault.is(bytes, "EPROTO") then self.broken = bytes end
  if not ok then error(bytes, 0) end
  if not bytes then self:finish() end
  return bytes
end

function Reader:trailers() return self.reader:trailers() end

function Reader:finish()
  self.over = true
  close_all(self.decoders)
end

function Reader:close()
  self:finish()
  self.reader:close()
end

Reader.__close = Reader.close

return M
