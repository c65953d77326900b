-- SPDX-License-Identifier: MIT
-- So many bytes in which no piece is like another, the same for the same seed: noise(n, seed). Compared whole, they show
-- any byte that was lost, doubled or moved.
return function(n, seed)
  local pieces, state = {}, seed * 2654435761 + 1
  for i = 1, (n + 31) // 32 do
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    pieces[i] = string.pack("<i8i8i8i8", state, state * 3, state * 5, state * 7)
  end
  return table.concat(pieces):sub(1, n)
end
