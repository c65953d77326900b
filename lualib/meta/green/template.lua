-- SPDX-License-Identifier: MIT
---@meta

---HTML with Lua in it: `{{ expr }}` escaped, `{- expr -}` as it is, `{% code %}`. A tag ends at the first `}}`, so write
---`{{ f { x = { 1 } } }}`. nil inserts nothing. Values are visible as variables, over the globals.
---
---    local page = template.compile "<h1>{{ title }}</h1>{% for _, x in ipairs(list) do %}<li>{{ x }}{% end %}"
---    return response.html(page { title = "A & B", list = { 1, 2 } })
local template = {}

---Raises EINVAL, naming the template and the line.
---@param text string
---@param name? string for errors ("template")
---@return fun(values?: table): string
function template.compile(text, name) end

---Compiles a file. Waits. Raises ENOENT and its like.
---@param path string
---@return fun(values?: table): string
function template.load(path) end

---& < > " ' as entities; nil as nothing.
---@param value any
---@return string
function template.escape(value) end

return template
