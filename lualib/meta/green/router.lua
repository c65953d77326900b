---@meta green.router
-- SPDX-License-Identifier: MIT

---Routes as a trie of path segments. `green.app` is the way to use it.
---Nothing here waits.
---```lua
---local router = require "green.router"
---local routes = router.new()
---routes:add("GET", "/orders/:id", function() end)
---local route, params = routes:find("GET", "/orders/7")
---print(route.path, params.id, router.is_exact(route)) --> /orders/:id  7  false
---print(select(2, routes:find("PUT", "/orders/7"))) --> GET, HEAD, OPTIONS
---print(#routes:routes()) --> 1
---```
---@class green.router
local router = {}

---@class green.Router
local Router = {}

---@class green.Route
---@field method string
---@field path string
---@field handler function
---@field names string[] parameters in order
---@field extra any

---Adds a route.
---Raises: a message when the pattern is malformed or a route of this method has the same shape.
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

---The routes in the order they were added.
---@return { method: string, path: string }[]
function Router:routes() end

---A router without routes.
---@return green.Router
function router.new() end

---Can requests for this route be told by comparing bytes?
---@param route green.Route
---@return boolean
function router.is_exact(route) end

return router
