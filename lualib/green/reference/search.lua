-- SPDX-License-Identifier: MIT
-- Internal.
-- This file searches the text of the entries, for people who know a word of what they look for, but not its name.
local NAME, PART, FIELD, TEXT = 8, 5, 4, 1 -- points of a word found in the name, in a part of it, in a field's name, in the text

-- Returns the words of an entry in lower case: the set of names of its fields and parameters, and its text.
local function texts_of(entry)
  local fields, text = {}, { entry.raises or "", entry.waiting or "" }
  for _, line in ipairs(entry.prose) do text[#text + 1] = line end
  for _, list in ipairs { entry.fields, entry.params, entry.returns } do
    for _, one in ipairs(list) do
      if one.name then fields[one.name:lower()] = true end
      text[#text + 1] = one.text or ""
    end
  end
  return { fields = fields, text = table.concat(text, "\n"):lower() }
end

local known = setmetatable({}, { __mode = "k" })

local function score_of(entry, word)
  local texts = known[entry] or texts_of(entry)
  known[entry] = texts
  local name = entry.name:lower()
  for part in name:gmatch "[^.:]+" do
    if part == word then return NAME end
  end
  if name:find(word, 1, true) then return PART end
  if texts.fields[word] then return FIELD end
  return texts.text:find("%f[%w_]" .. word .. "%f[^%w_]") and TEXT or nil
end

-- Returns the entries that have each word of the text, the best first, at most `max`, and how many there are in all.
return function(entries, text, max)
  local words, found = {}, {}
  for word in text:lower():gmatch "[%w_]+" do words[#words + 1] = word end
  for _, entry in ipairs(#words > 0 and entries or {}) do
    local total = not entry.private and entry.module and 0 or nil
    for _, word in ipairs(words) do
      local score = total and score_of(entry, word)
      total = score and total + score
    end
    if total then found[#found + 1] = { entry = entry, score = total } end
  end
  table.sort(found, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.entry.name < b.entry.name
  end)
  local list = {}
  for i = 1, math.min(max, #found) do list[i] = found[i].entry end
  return list, #found
end
