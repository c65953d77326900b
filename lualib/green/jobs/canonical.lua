-- SPDX-License-Identifier: MIT
-- Internal.
-- JSON in which the members of objects are in the order of their names, so that equal arguments are the same text in every process: the order
-- of a table's fields is another one in each.
local json = require "green.json"

local write -- further down

local function write_list(out, list)
  out[#out + 1] = "["
  for i, value in ipairs(list) do
    if i > 1 then out[#out + 1] = "," end
    write(out, value)
  end
  out[#out + 1] = "]"
end

local function write_object(out, object)
  local names = {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  out[#out + 1] = "{"
  for i, name in ipairs(names) do
    out[#out + 1] = (i > 1 and "," or "") .. json.encode(name) .. ":"
    write(out, object[name])
  end
  out[#out + 1] = "}"
end

function write(out, value)
  if type(value) ~= "table" then out[#out + 1] = json.encode(value)
  elseif json.is_array(value) then write_list(out, value)
  else write_object(out, value) end
end

-- Returns a JSON text in that order.
return function(text)
  local out = {}
  write(out, json.decode(text))
  return table.concat(out)
end
