-- SPDX-License-Identifier: MIT
local json = require "green.json"

local function text_of(n, item) return "[" .. (item .. ","):rep(n - 1) .. item .. "]" end

local function decodes(name, make, start)
  return {
    name = "json: decode " .. name,
    start = start or 5000,
    prepare = function(n)
      local text = make(n)
      return function() json.decode(text) end
    end,
  }
end

local function encodes(name, make)
  return {
    name = "json: encode " .. name,
    start = 5000,
    prepare = function(n)
      local value = make(n)
      return function() json.encode(value) end
    end,
  }
end

return {
  decodes("an array of rows", function(n) return text_of(n, '{"id":1,"name":"x","price":1.5}') end),
  decodes("an object of many members", function(n)
    local members = {}
    for i = 1, n do members[i] = ('"k%d":%d'):format(i, i) end
    return "{" .. table.concat(members, ",") .. "}"
  end, 20000), -- below, the tables of names still fit into the cache
  -- From here on the kernel gives its pages for each buffer anew; below, the heap has them already.
  decodes("a string of escapes", function(n) return '"' .. ("\\n\\u00e9"):rep(n) .. '"' end, 100000),
  decodes("one number of many digits", function(n) return "0." .. ("123456789"):rep(n) end),
  encodes("a list of rows", function(n)
    local rows = {}
    for i = 1, n do rows[i] = { id = i, name = "x", price = i / 8 } end
    return rows
  end),
  encodes("a string of escapes", function(n) return ("\n\"\u{e9}"):rep(n) end),
}
