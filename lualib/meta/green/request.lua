---@meta green.request
-- SPDX-License-Identifier: MIT

---The request as handlers see it. Fields of your own may be assigned (`req.user = ...`).
---What the client got wrong raises an error object with a `status`, which the server answers when nobody catches it.
---```lua
---app:get("/orders/:id", function(req)
---  return ("%s, page %s, from %s"):format(req.params.id, req.query.page, req:header "referer")
---end)
---local answer = app:inject { path = "/orders/7?page=2", headers = { Referer = "/" } }
---print(answer.body) --> 7, page 2, from /
---```
---@class green.request
---@field method string
---@field target string as sent: path and query, escaped
---@field path string without the query, percent-decoded
---@field raw_path string without the query, escaped
---@field query_string string raw, "" if none
---@field query table<string, string> the first value of each name; more than 1000 fields: 413; bad escapes: 400
---@field query_pairs { [1]: string, [2]: string }[] all of them in order
---@field params table<string, string> of the route, percent-decoded
---@field headers table<string, string> by lower-case name; several lines are joined by ", " (cookie: "; ")
---@field cookies table<string, string> the first of each name, not decoded
---@field remote string the client: "192.0.2.7:40312", "unix"; what a trusted proxy says has port 0 if it tells none (option trusted_proxies)
---@field scheme string "http" or "https"; as a trusted proxy says
---@field host? string what the client asked for, "shop.example:8443": the header Host (HTTP/2: the :authority), or what a trusted proxy says; nil: HTTP/1.0 without it
---@field tls green.request.tls? nil without TLS
---@field id string of this request, for logs: 16 hex digits; or what X-Request-Id says (option trust_request_id of the server)
---@field version string of HTTP: "1.0", "1.1", "2"
---@field has_body boolean a body follows the head, be it empty in the end
---@field keep_alive boolean
---@field ctx table empty at first: what middleware and handlers share
---@field user any nil until somebody assigns it
local Request = {}

---What the client and the server agreed on.
---@class green.request.tls
---@field version string "TLSv1.3"
---@field cipher string "TLS_AES_256_GCM_SHA384"
---@field alpn? string the protocol that was chosen, "h2", "http/1.1"; nil if the client named none
---@field sni? string the name the client asked for
---@field resumed? boolean it continues an earlier session
---@field client_subject? string whose certificate the client has, "O=A,CN=a.test", verified (`client_ca`); nil without one

---One header, in any case; nil if it was not sent. Sent in several lines, it is joined as in `headers`.
---Does not wait.
---@param name string
---@return string?
function Request:header(name) end

---The whole body. One with a Content-Encoding (gzip, deflate, br, zstd) is decoded, here as in `json`, `form`, `parts` and `chunks`; `max`
---bounds what was sent and what it becomes.
---Waits for the client to send it.
---Raises: errors with a `status`: EMSGSIZE (413) when it is larger than `max`, EPROTO (400) when it is malformed, EINVAL (415) for another
---coding, ETIMEDOUT (408) when it takes too long, ECONNRESET (400) when the client goes away; EBUSY while another task reads it; ECLOSED once the
---request was answered.
---```lua
---print(req:body()) --> {"item":"tea"}
---```
---@param max? integer bytes (1 MB)
---@return string
function Request:body(max) end

---The body as it comes, of any size: decoded if it has a Content-Encoding, which can make much of little; `decode = false` gives what was sent.
---Waits between the pieces.
---Raises: ECONNRESET when the client goes away; as `body` for codings, which `chunks` itself does for one that is not served.
---```lua
---local size = 0
---for bytes in req:chunks() do size = size + #bytes end
---print(size) --> 14
---```
---@param opts? { decode?: boolean }
---@return fun(): string?
function Request:chunks(opts) end

---The fields behind the body, its trailers, by lower-case name; a repeated one's values are joined with ", ". nil when there are none, before
---the body was read to its end, and once the request was answered.
---Does not wait.
---```lua
---req:body()
---print(req:trailers()) --> nil
---```
---@return table<string, string>?
function Request:trailers() end

---Sends 103 Early Hints (RFC 8297) while the answer is still being made: what the client may fetch meanwhile, as Link headers, which the
---answer has again. Browsers heed it over HTTP/2.
---Does not wait.
---Raises: a message for headers that are none.
---```lua
---local hinted = req:early_hints { link = "</style.css>; rel=preload; as=style" }
---print(hinted) --> true
---```
---@param headers table<string, string|string[]>
---@return boolean sent false: the client speaks HTTP/1.0 or is gone, the answer has begun, or there were eight hints before
function Request:early_hints(headers) end

---The body as JSON, whatever its Content-Type.
---Waits for the client to send it.
---Raises: EINVAL with `status` 400 and the position when it is not JSON; as `body`.
---```lua
---print(req:json().item) --> tea
---```
---@param max? integer bytes (1 MB)
---@return any
function Request:json(max) end

---The fields of an urlencoded or multipart form: the first of each name, and all in order. Files are tables.
---Waits for the client to send it.
---Raises: EINVAL with `status` 415 for another type; 413 for more than 1000 fields (100 parts) or `max` bytes; 400 for bad
---escapes; as `body`.
---```lua
---local fields, all = req:form()
---print(fields.item, #all) --> tea  2
---```
---@param max? integer bytes, of all fields together (1 MB)
---@return table<string, string|{ filename: string, type: string?, body: string }>
---@return { [1]: string, [2]: any }[]
function Request:form(max) end

---A part of a multipart body: a field or a file.
---```lua
---for part in req:parts() do
---  for bytes in part:chunks() do print(part.name, bytes) end --> item  tea
---end
---```
---@class green.part
---@field name string
---@field filename? string without folders, "" when the client gave none that can be used; nil for plain fields
---@field headers table<string, string> by lower-case name
local Part = {}

---The part as it comes.
---Waits between the pieces.
---Raises: an error with `status` 400 when the body is malformed; ECONNRESET when the client goes away.
---@return fun(): string?
function Part:chunks() end

---The whole part.
---Waits for the client to send it.
---Raises: EMSGSIZE with `status` 413 when it is larger than `max`; as `chunks`.
---```lua
---for part in req:parts() do print(part.name, part:body()) end --> item  tea
---```
---@param max? integer bytes (1 MB)
---@return string
function Part:body(max) end

---Writes the part to a file as it comes, never held as a whole: the file is there as a whole or not at all. Make its name yourself, since
---`filename` is the client's word.
---Waits for the client to send it, and for the disk.
---Raises: EMSGSIZE with `status` 413 when it is larger than `max`; ECLOSED when its chunks were read already, or the next part; as `chunks`; as
---fs.open and file:write.
---```lua
---for part in req:parts() do print(part:save(os.tmpname())) end --> 3
---```
---@param path string
---@param max? integer bytes (64 MiB)
---@return integer bytes
function Part:save(path, max) end

---A multipart body part by part, never held as a whole; what is not read of a part is skipped.
---Waits in the loop.
---Raises: EINVAL with `status` 415 when it is not multipart, 400 when it is malformed; EMSGSIZE with 413 for more than 100 parts.
---```lua
---for part in req:parts() do
---  local size = 0
---  for bytes in part:chunks() do size = size + #bytes end
---  print(part.name, size) --> item  3
---end
---```
---@return fun(): green.part?
function Request:parts() end

---All values of a query parameter.
---Does not wait.
---```lua
---print(table.concat(req:query_all "tag", ", ")) --> hot, new
---```
---@param name string
---@return string[]
function Request:query_all(name) end
