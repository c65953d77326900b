-- SPDX-License-Identifier: MIT
-- Internal.
-- Text as UTF-8, whatever it was: each byte that belongs to no character is a question mark.
return function(text)
  local pieces, from = {}, 1
  while true do
    local ok, bad = utf8.len(text, from)
    if ok then break end
    pieces[#pieces + 1] = text:sub(from, bad - 1) .. "?"
    from = bad + 1
  end
  return from == 1 and text or table.concat(pieces) .. text:sub(from)
end
