-- SPDX-License-Identifier: MIT
local dialects = require "specification.dialects"
local model = require "specification.model"

for _, dialect in ipairs { dialects.memory, dialects.file } do
  describe("green.model " .. dialect.name, function() model(_ENV, dialect) end)
end
