-- SPDX-License-Identifier: MIT
-- An iterator over its arguments: pieces of a body, for specs.
return function(...)
  local list, i = { ... }, 0
  return function()
    i = i + 1
    return list[i]
  end
end
