-- SPDX-License-Identifier: MIT
-- Files, without stopping the others: each call waits while the pool works.
local native = require "green.fs.native"

return {
  read = native.read,
  stat = native.stat,
  list = native.scandir,
  realpath = native.realpath,
}
