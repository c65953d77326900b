-- SPDX-License-Identifier: MIT
-- Content codings undone: whole, cut, followed by more, damaged; in bounded slices and counted memory.
local encoders = require "coding.encoders"
local native = require "green.coding.native"
local sh = require "shell"

local SLICE = 32768

local random = math.tointeger(tonumber(os.getenv "FUZZ_SEED" or 16))
local seed = random
local cases = math.tointeger(tonumber(os.getenv "FUZZ_CASES" or 300))

local function next_random(n)
  random = random * 6364136223846793005 + 1442695040888963407
  return (random >> 33) % n + 1
end

-- The decoded bytes; nil, why. `size`: how much it is fed at once. look(slice) sees each slice.
local function decode(coding, bytes, size, look)
  local decoder <close> = native.decoder(coding)
  local out, at = {}, 1
  while true do
    local slice, why = decoder:pull()
    if slice == false then return nil, why end
    if slice then
      out[#out + 1] = slice
      if look then look(slice) end
    elseif at <= #bytes then
      decoder:feed(bytes:sub(at, at + (size or #bytes) - 1))
      at = at + (size or #bytes)
    else
      return decoder:ended() and table.concat(out) or nil, "cut off"
    end
  end
end

local TEXT = {}
for i = 1, 4000 do TEXT[i] = ("line %d of %d\n"):format(i * 7919 % 4001, next_random(1000)) end
TEXT = table.concat(TEXT)

describe("a decoder", function()
  it("is there for the codings of HTTP, in any case, and for no other", function()
    for _, name in ipairs { "gzip", "x-gzip", "GZip", "deflate", "br", "zstd" } do assert.is_truthy(native.decoder(name), name) end
    for _, name in ipairs { "", "compress", "x-compress", "identity", "gzip2", "gzi", "brotli", "gzip\0" } do assert.is_nil(native.decoder(name), name) end
  end)

  for name, coding in pairs(encoders.all) do
    local kind, encode = coding[1], coding[2]

    it("undoes " .. name .. ", however it is cut into pieces", function()
      for _, text in ipairs { "", "x", TEXT, ("\0"):rep(1000000) } do
        local coded = encode(text)
        for _, size in ipairs { #coded, 1, 7, 4096 } do assert.is_true(decode(kind, coded, size) == text, #text .. " by " .. size) end
      end
    end)

    it("knows when " .. name .. " is cut off", function()
      local coded = encode(TEXT:sub(1, 300))
      for n = 1, #coded - 1 do
        local text, why = decode(kind, coded:sub(1, n))
        assert.is_nil(text, n)
        assert.equal("cut off", why)
      end
      assert.equal("", decode(kind, "")) -- no body at all
    end)

    it("refuses what follows " .. name, function()
      local coded = encode(TEXT)
      for _, tail in ipairs { "x", "\0", "\0\0\0\0\0\0\0\0", ("?"):rep(100) } do
        for _, size in ipairs { #coded + #tail, #coded, 1 } do
          local text, why = decode(kind, coded .. tail, size)
          assert.is_nil(text)
          assert.is_truthy(why == "followed by other bytes" or why == "cut off" or why == "damaged", why)
        end
      end
    end)

    it("gives " .. name .. " in slices", function()
      local slices, size = 0, 0
      local bomb = encode(("\0"):rep(20 << 20))
      decode(kind, bomb, nil, function(slice)
        assert.is_true(#slice <= SLICE)
        slices, size = slices + 1, size + #slice
      end)
      assert.equal(20 << 20, size)
      assert.is_true(slices >= size // SLICE)
    end)

    it(("survives %s that was damaged (seed %d)"):format(name, seed), function()
      local coded, differ = encode(TEXT:sub(1, 3000)), 0
      for _ = 1, cases do
        local bytes = coded
        for _ = 1, next_random(3) do
          local at, kind_of = next_random(#bytes), next_random(4)
          local before, after = bytes:sub(1, at - 1), bytes:sub(at + 1)
          if kind_of == 1 then bytes = before .. string.char(next_random(256) - 1) .. after
          elseif kind_of == 2 then bytes = before .. after
          elseif kind_of == 3 then bytes = before .. bytes:sub(at, at + next_random(40)) .. bytes:sub(at)
          else bytes = bytes:sub(1, at) end
          if bytes == "" then bytes = coded end
        end
        local size = 0
        local text = decode(kind, bytes, next_random(#bytes), function(slice)
          size = size + #slice
          assert.is_true(#slice <= SLICE)
        end)
        if text ~= TEXT:sub(1, 3000) then differ = differ + 1 end
      end
      assert.is_true(differ > cases / 2)
    end)
  end

  it("undoes several members and frames", function()
    for _, name in ipairs { "gzip", "zstd" } do
      local encode = encoders[name]
      local coded = encode "one, " .. encode "" .. encode "two"
      for size = 1, #coded do assert.equal("one, two", decode(name, coded, size)) end
    end
  end)

  it("is bounded in what it takes at once, too: a million empty members give nothing", function()
    local decoder <close> = native.decoder "gzip"
    decoder:feed(encoders.gzip(""):rep(100000))
    local pulls = 0
    while decoder:pull() do pulls = pulls + 1 end
    assert.is_true(pulls >= 100000 * 20 // SLICE)
    assert.is_true(decoder:ended())
  end)

  it("refuses zstd that wants more than 8 MiB of window", function()
    local coded = encoders.run({ "zstd", "-c", "-q", "--long=27", "--no-progress" }, ("a"):rep(20 << 20))
    assert.same({ nil, "made for a window of more than 8 MiB" }, { decode("zstd", coded) })
  end)

  it("counts its memory, and is told no", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local file <close> = assert(io.open(folder .. "/bytes.zst", "w"))
    file:write(encoders.run({ "zstd", "-c", "-q", "--long=23", "--no-progress" }, ("0123456789abcdef"):rep(1 << 20)))
    file:flush()
    local out = sh("$lua --max-memory 4M a.lua " .. folder .. "/bytes.zst", { ["a.lua"] = [[
      local native = require "green.coding.native"
      local bytes = io.open(arg[1]):read "a"
      local function decode()
        local decoder <close> = native.decoder "zstd"
        decoder:feed(bytes)
        while decoder:pull() do end
      end
      print(pcall(decode))
      print(pcall(decode))
      local small <close> = native.decoder "gzip"
      print(small ~= nil)
    ]] })
    os.execute("rm -r " .. folder)
    assert.equal("false\tnot enough memory\nfalse\tnot enough memory\ntrue\n", out)
  end)

  it("says what it is for when it is used wrongly", function()
    local decoder = native.decoder "gzip"
    decoder:feed "\x1f"
    assert.has_error(function() decoder:feed "x" end)
    decoder:close()
    decoder:close()
    assert.has_error(function() decoder:pull() end)
    assert.has_error(function() decoder:feed "x" end)
  end)
end)
