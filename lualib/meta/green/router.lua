-- SPDX-License-Identifier: MIT
---@meta

---Routes as a trie of path segments; `green.app` is the way to use it.
local router = {}

---@class green.Router
local Router = {}

---@class green.Route
---@field method string
---@field path string
---@field handler function
---@field names string[] parameters in order
---@field extra any

---Raises when the pattern is malformed or a route of this method has the same shape.
---@param method string in capitals; "ANY" for those no other route of the path answers
---@param path string
---@param handler function
---@param extra? any kept in the route
---@return green.Route
function Router:add(method, path, handler, extra) end

---The route and its parameters; or nil and, if other methods would do, the value of Allow.
---@param method string
---@param raw_path string escaped, as sent
---@return green.Route?
---@return table<string, string>|string|nil
function Router:find(method, raw_path) end

---@return { method: string, path: string }[]
function Router:routes() end

---@return green.Router
function router.new() end

---Can requests for this route be told by comparing bytes?
---@param route green.Route
---@return boolean
function router.is_exact(route) end

return router
