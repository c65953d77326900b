---@meta green.url
-- SPDX-License-Identifier: MIT

---URLs after RFC 3986, and the queries and web forms in them.
---Nothing here waits.
---```lua
---local url = require "green.url"
---local parts = url.parse "https://example.com:8443/a?q=1"
---print(parts.host, parts.port) --> example.com  8443
---print(url.encode_query { q = "x y", tag = { 1, 2 } }) --> q=x%20y&tag=1&tag=2
---```
---@class green.url
local url = {}

---@class green.url.parts
---@field scheme? string lower case
---@field user? string decoded
---@field password? string decoded
---@field host? string lower case, in ASCII (`xn--...`); IPv6 addresses with their brackets
---@field port? integer
---@field path string as it stands, may be empty
---@field query? string as it stands, without "?"
---@field fragment? string as it stands, without "#"

---Takes a URL, or a reference without scheme or host, apart. What is read in different ways by different programs is refused, so
---that a decision made by `host` holds for whoever connects: a backslash, two "@", and with http, https, ws and wss no host, an escape in
---it, an IPv4 address that is not four numbers. `green.http` asks for what this function understood. A host in other letters than
---those of ASCII is given as it is looked up (IDNA 2008, as browsers map it); full-width letters and other marks that only mean
---ASCII are refused.
---Raises: EINVAL when it is none; ENOLIBRARY for a host in other letters without libidn2.
---```lua
---print(url.parse("http://Bücher.example/").host) --> xn--bcher-kva.example
---```
---@param text string
---@return green.url.parts
function url.parse(text) end

---Puts a URL together; `query` may be a table, see `encode_query`. What would end the path or the query is escaped.
---Raises: EINVAL for a scheme, host or port that is none; an argument error for a `query` that is none.
---```lua
---print(url.build { scheme = "http", host = "ann", path = "/a", query = { n = 1 } })
-----> http://ann/a?n=1
---```
---@param parts green.url.parts|{ query: table }
---@return string
function url.build(parts) end

---The URL that a reference means on a page with the URL `base`: of a link, or of a Location header (RFC 3986, 5.2).
---Raises: EINVAL when one of them is none, or `base` has no host.
---```lua
---print(url.resolve("http://ann/shop/list?page=2", "../cart")) --> http://ann/cart
---```
---@param base string
---@param reference string
---@return string
function url.resolve(base, reference) end

---A path without "." and ".." in it; what would lead above the root is left out.
---```lua
---print(url.normalize_path "/a/./b/../c") --> /a/c
---```
---@param path string
---@return string
function url.normalize_path(path) end

---Percent-encodes all but letters, digits and "-._~".
---```lua
---print(url.encode "50% off/today") --> 50%25%20off%2Ftoday
---```
---@param text string|number
---@return string
function url.encode(text) end

---Decodes %XX; anything else stays as it is.
---```lua
---print(url.decode "caf%C3%A9+1") --> café+1
---```
---@param text string
---@return string
function url.decode(text) end

---A query string or web form of a table: name to value or list of values (names are sorted), or a list of {name, value}.
---Raises: an argument error for other values.
---@param params table values are strings, numbers and booleans
---@return string
function url.encode_query(params) end

---Takes a query string or web form apart; "+" is a space.
---```lua
---local first, all = url.decode_query "tag=a&tag=b+c"
---print(first.tag, #all, all[2][2]) --> a  2  b c
---```
---@param text string
---@return table<string, string> first the first value of each name
---@return { [1]: string, [2]: string }[] all every {name, value}, in order
function url.decode_query(text) end

return url
