---@meta
-- SPDX-License-Identifier: MIT

--- The HTTP client. Every request waits for its answer, and only its own task does.
---
---     local http = require "green.http"
---     local resp = http.post("https://api.example.com/orders", { json = { item = "soup", n = 2 } })
---     if resp.status == 201 then print(resp:json().id) end
---
--- An HTTP status is an answer, not an error. What raises (an error object, see `green.error`) is that there is no
--- answer: `ECONNREFUSED`, `ECONNRESET` (also: closed too early), `ENOTFOUND` (no such host), `ETIMEDOUT`, `ETLS`
--- (the certificate), `EINVAL` (bad URL, scheme or header), `EMSGSIZE` (larger than `max_body`), `ELOOP` (too many
--- redirects), `EPROTO` (not HTTP), `ECANCELED` (the task). Messages name method, URL without credentials, and reason.
---
--- Connections are kept and reused; bodies are decompressed; HTTP/2 is spoken where TLS servers offer it; the
--- variables `http_proxy`, `https_proxy` and `no_proxy` are heeded. Credentials do not follow redirects to another origin.
---@class green.http
local http = {}

---@class green.http.part one part of a multipart form
---@field name string
---@field value? string|number the value of a field
---@field contents? string the contents of a file
---@field filename? string
---@field type? string its content type

---@class green.http.settings
---@field headers? table<string, string|number|string[]> values with CR, LF or NUL are refused
---@field timeout? number seconds for all of it, default 30; with `stream`, for the head and for each further piece
---@field connect_timeout? number seconds until connected, name lookup and TLS included, default 5
---@field verify? boolean check the server's certificate, default true
---@field ca? string file of certificates (PEM) to trust instead of the system's
---@field redirects? integer|false the most to follow, default 10; false or 0: none
---@field max_body? integer bytes after decompression, default 64 MiB; does not count for `stream`
---@field auth? { [1]: string, [2]: string } user and password, basic authentication

---@class green.http.options : green.http.settings
---@field query? table added to the URL's query: name to value or list of values, or a list of {name, value}
---@field json? any the request body: a value, as JSON
---@field form? table the request body: like `query`, as a web form
---@field body? string the request body: bytes
---@field multipart? green.http.part[] the request body: a form with files
---@field stream? boolean answer when the head is there; read the body with `chunks`

---@class green.http.client_settings : green.http.settings
---@field base_url? string what relative URLs are appended to; absolute ones must be on the same server

---@class green.http.headers : { [string]: string }
--- Found by name in any case; `pairs` gives lower-case names. A repeated header's values are joined with ", ", but
--- of `set-cookie` only the first is given.
local headers = {}

--- All values of a header, in order; an empty list when there is none.
---@param name string
---@return string[]
function headers:all(name) end

---@class green.http.response
---@field status integer
---@field headers green.http.headers
---@field body? string nil when streamed
---@field url string where redirects led to
local response = {}

--- The body decoded from JSON. Raises `EJSON` with `response` and `position` when it is none; the message names URL,
--- status and position.
---@return any
function response:json() end

--- Raises `EHTTP` with `response` from status 400 on.
---@return green.http.response self
function response:raise_for_status() end

--- The pieces of a streamed body, as they come. A server faster than the loop is held back. Leaving the loop early
--- stops the transfer. Waits.
---
---     for chunk in http.get(url, { stream = true }):chunks() do file:write(chunk) end
---@return fun(stream: userdata): string? read
---@return userdata stream
---@return nil
---@return userdata closed with the loop
function response:chunks() end

--- Stops the transfer of a streamed body; also called when a `<close>` variable goes out of scope.
function response:close() end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.get(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.head(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.post(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.put(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.patch(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.delete(url, opts) end

--- Any method.
---@param method string
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.request(method, url, opts) end

--- A client with settings of its own: `get`, `post` ... and `request` as methods, with a URL relative to `base_url`.
---
---     local api = http.client { base_url = "https://api.example.com/v1", headers = { Authorization = "Bearer " .. token } }
---     local user = api:get("/users", { query = { id = 7 } }):json()
---@param settings? green.http.client_settings
---@return green.http.client
function http.client(settings) end

---@class green.http.client
local client = {}

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:get(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:head(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:post(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:put(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:patch(url, opts) end

---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:delete(url, opts) end

---@param method string
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:request(method, url, opts) end

return http
