---@meta green.reference
-- SPDX-License-Identifier: MIT

---The reference at hand: what `help` prints in the REPL and `greenlua doc` in the shell.
---It is made of the stubs that editors read, which ship inside the binary.
---Does not wait.
---```lua
---local reference = require "green.reference"
---print(reference.find "http.get".name) --> green.http.get
---```
---@class green.reference
local reference = {}

---@class green.reference.Entry
---@field kind "module"|"class"|"function"|"method"|"field"|"alias"|"stock"
---@field name string "green.http.get", "green.Task:join"
---@field module? string "green.http"
---@field head? string "get(url, opts)"
---@field prose string[] lines
---@field examples { code: string, runs: boolean }[]
---@field waits? boolean
---@field raises? string
---@field params { name: string, type: string, optional: boolean, text: string }[]
---@field returns { type: string, text: string }[]
---@field fields { name: string, type: string, optional: boolean, text: string }[]
---@field members green.reference.Entry[]

---What has this name; or nil and what it may mean: all that are called so, or up to five with a name like it.
---Does not wait.
---```lua
---local entry, near = reference.find "http.gte"
---print(entry, near[1].name) --> nil  green.http.get
---```
---@param name string "http.get", "green.http.get", "Task:join", "db"
---@return green.reference.Entry?
---@return green.reference.Entry[]?
function reference.find(name) end

---All about a name, a function, a module or an object, as text for people; the modules when there is nothing asked.
---Does not wait.
---```lua
---local text, found = reference.text("fs.dirname", { width = 60, color = false })
---print(found, text:match "^%S+") --> true  fs.dirname(path)
---```
---@param what? any
---@param opts? { width?: integer, color?: boolean } the terminal's (at most 100), or 80; colour on terminals without NO_COLOR
---@return string text
---@return boolean? found
function reference.text(what, opts) end

---Prints that text: `help(http.get)`, `help "green.db"`, `help()`.
---Does not wait.
---```lua norun
---reference.help "green.db"
---```
---@param what? any
function reference.help(what) end

---Every name that `find` knows, sorted.
---Does not wait.
---```lua
---print(#reference.names() > 100) --> true
---```
---@return string[]
function reference.names() end

return reference
