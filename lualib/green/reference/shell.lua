-- SPDX-License-Identifier: MIT
-- Internal.
-- `greenlua doc [NAME]` prints the reference. The function returns the exit code of the process.
local reference = require "green.reference"

local USAGE = [[
usage: greenlua doc [NAME]
Shows the reference of a module, a function, a method or a type; of words that are no name, where they are spoken of;
without a name the modules:
  greenlua doc http.get
  greenlua doc task:join
  greenlua doc slow client
  greenlua doc --names      every name there is, one per line]]

local function complain(text)
  io.stderr:write("greenlua: doc: ", text, "\n")
  return 1
end

return function(...)
  local name = select("#", ...) > 0 and table.concat({ ... }, " ") or nil
  if name == "--help" then
    print(USAGE)
  elseif name == "--names" then
    print(table.concat(reference.names(), "\n"))
  elseif name and name:sub(1, 1) == "-" then
    return complain(("unrecognized option '%s'\n%s"):format(name, USAGE))
  else
    local text, found = reference.text(name)
    if name and not found then return complain(text) end
    print(text)
  end
  return 0
end
