-- SPDX-License-Identifier: MIT
-- Content codings made: what others' decoders read, however it is fed, flushed and given up.
local encoders = require "coding.encoders"
local native = require "green.coding.native"
local sh = require "shell"

local UNDO = { gzip = { "gzip", "-dc" }, zstd = { "zstd", "-dcq" } }

local TEXT = {}
for i = 1, 20000 do TEXT[i] = ("line %d of %x\n"):format(i * 7919 % 4001, i * i * 40503) end
TEXT = table.concat(TEXT)

local function pull(encoder)
  local out = {}
  while not encoder:ended() do
    local piece = encoder:pull()
    if not piece then break end
    assert.is_true(#piece <= 32768)
    out[#out + 1] = piece
  end
  return table.concat(out)
end

-- What another program makes of the text, fed in pieces of this size.
local function through(coding, text, size, follows)
  local encoder <close> = native.encoder(coding)
  local out = {}
  for at = 1, #text, size do
    encoder:feed(text:sub(at, at + size - 1), follows)
    out[#out + 1] = pull(encoder)
  end
  encoder:feed("", "end")
  out[#out + 1] = pull(encoder)
  assert.is_true(encoder:ended())
  return encoders.run(UNDO[coding], table.concat(out))
end

describe("an encoder", function()
  it("is there for gzip and zstd, and for nothing else", function()
    for _, name in ipairs { "", "br", "GZIP", "x-gzip", "deflate", "zstd\0" } do assert.is_nil(native.encoder(name), name) end
    assert.has_error(function() native.encoder() end)
  end)

  for coding in pairs(UNDO) do
    it(coding .. " is read by others, however it was fed", function()
      for _, text in ipairs { "", "x", TEXT:sub(1, 500), TEXT, ("\0"):rep(1000000) } do
        for _, size in ipairs { 1000000, 40000, 32768, 999 } do assert.is_true(through(coding, text, size) == text) end
      end
      for _, size in ipairs { 1, 7 } do assert.equal(TEXT:sub(1, 500), through(coding, TEXT:sub(1, 500), size, "flush")) end
      assert.is_true(through(coding, TEXT, 5000, "flush") == TEXT)
    end)

    it(coding .. " that is flushed can be read so far", function()
      local encoder <close> = native.encoder(coding)
      local decoder <close> = native.decoder(coding)
      for _, piece in ipairs { "a", "bc", TEXT, "d" } do
        encoder:feed(piece, "flush")
        decoder:feed(pull(encoder))
        local got = {}
        for bytes in function() return decoder:pull() or nil end do got[#got + 1] = bytes end
        assert.is_true(table.concat(got) == piece)
      end
    end)

    it(coding .. " loses nothing between two pulls, takes no input before, and none once it has ended", function()
      local encoder <close> = native.encoder(coding)
      assert.is_nil(encoder:pull())
      encoder:feed(TEXT, "end")
      local first = encoder:pull()
      collectgarbage() -- the encoder keeps its input
      assert.has_error(function() encoder:feed "x" end)
      assert.is_true(encoders.run(UNDO[coding], first .. pull(encoder)) == TEXT)
      assert.has_error(function() encoder:feed "x" end)
      assert.has_error(function() encoder:pull() end)
      encoder:close()
      encoder:close()
      assert.has_error(function() native.encoder(coding):feed("x", "ends") end)
    end)

    it(coding .. " costs counted memory, which its end gives back at once", function()
      local out, err = sh("$lua --max-memory=64M script.lua " .. coding, { ["script.lua"] = [[
        local native = require "green.coding.native"
        for _ = 1, 2 do -- the library is loaded
          local kept = {}
          local ok, why = pcall(function()
            for i = 1, 1000 do
              kept[i] = native.encoder(arg[1])
              kept[i]:feed("x", "flush")
              kept[i]:pull()
            end
          end)
          print(ok, (tostring(why):gsub(".*not enough memory.*", "not enough memory")), #kept > 20)
          for _, encoder in ipairs(kept) do encoder:close() end
        end
        local encoder <close> = native.encoder(arg[1])
        encoder:feed(("x"):rep(100000), "end")
        print(#(encoder:pull() .. encoder:pull() .. encoder:pull() .. encoder:pull()) > 0)
      ]] })
      assert.equal("", err)
      assert.equal(("false\tnot enough memory\ttrue\n"):rep(2) .. "true\n", out)
    end)
  end
end)
