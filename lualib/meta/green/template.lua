---@meta green.template
-- SPDX-License-Identifier: MIT

---HTML with Lua in it. `{{ expr }}` is inserted escaped, `{- expr -}` as it is, `{% code %}` runs.
---A tag ends at the first `}}`, so write `{{ f { x = { 1 } } }}`. nil inserts nothing. Values are visible as variables, over
---the globals.
---```lua
---local page = template.compile "{{ title }}{% for _, x in ipairs(list) do %}<li>{{ x }}{% end %}"
---print(page { title = "A & B", list = { 1, 2 } }) --> A &amp; B<li>1<li>2
---```
---@class green.template
local template = {}

---A function that fills the template in.
---Does not wait; what it returns waits where the template's code does.
---Raises: EINVAL, naming the template and the line. What its code raises when it runs says these, too, and which value is missing.
---@param text string
---@param name? string for errors ("template")
---@return fun(values?: table): string
function template.compile(text, name) end

---Compiles a file.
---Waits.
---Raises: ENOENT and its like; EINVAL as `compile`.
---```lua
---fs.write("hello.html", "<p>Hello {{ name }}</p>")
---print(template.load "hello.html" { name = "Ann" }) --> <p>Hello Ann</p>
---```
---@param path string
---@return fun(values?: table): string
function template.load(path) end

---`& < > " '` as entities; nil as nothing.
---Does not wait.
---```lua
---print(template.escape "<b>") --> &lt;b&gt;
---```
---@param value any
---@return string
function template.escape(value) end

return template
