-- SPDX-License-Identifier: MIT
-- Bytes in each content coding, made by the tools that everybody uses.
local process = require "green.process"

local COMMANDS = {
  gzip = { "gzip", "-c", "-n" },
  br = { "brotli", "-c", "-q", "5", "-w", "18" },
  zstd = { "zstd", "-c", "-q", "--no-progress" },
}

local M = {}

function M.run(command, bytes)
  local got = process.capture(command, { input = bytes, max_output = 1 << 30 })
  assert(got.code == 0, got.stderr)
  return got.stdout
end

local function adler32(bytes)
  local a, b = 1, 0
  for i = 1, #bytes do
    a = (a + bytes:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return (">I4"):pack(b << 16 | a)
end

function M.gzip(bytes) return M.run(COMMANDS.gzip, bytes) end
function M.br(bytes) return M.run(COMMANDS.br, bytes) end
function M.zstd(bytes) return M.run(COMMANDS.zstd, bytes) end

-- What is inside of a gzip member whose head says nothing more.
function M.raw_deflate(bytes) return (M.run(COMMANDS.gzip, bytes):sub(11, -9)) end

function M.zlib(bytes) return "\x78\x9c" .. M.raw_deflate(bytes) .. adler32(bytes) end

-- Name -> { its Content-Encoding, the encoder }.
M.all = {
  gzip = { "gzip", M.gzip },
  zlib = { "deflate", M.zlib },
  raw_deflate = { "deflate", M.raw_deflate },
  br = { "br", M.br },
  zstd = { "zstd", M.zstd },
}

return M
