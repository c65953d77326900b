---@meta green.http
-- SPDX-License-Identifier: MIT

---The HTTP client (HTTP/1.1). Every request waits for its answer, and only its own task does.
---An HTTP status is an answer, not an error: a request raises when there is no answer. Messages name method, URL without
---credentials, and reason. Bodies in gzip, deflate, br and zstd are decoded. Content-Length, Transfer-Encoding, Connection and other headers that
---say where a message ends are the client's own, and refused in `headers` (EINVAL), as more than 48 KiB or 1,024 of them are (EMSGSIZE).
---
---Connections are kept for 60 seconds and used again, by requests to the same server with the same proxy and TLS settings. There are at most 1024
---to a server; further requests wait in order. Without `retry` a request is sent a second time only when a kept connection turns out to be
---closed before an answer, and the method may be sent twice or nothing can have reached the server.
---
---A certificate must name the host as a subjectAltName, and be signed by an authority that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR`
---name others for the process. Redirects are followed as browsers do: POST becomes GET for 301 and 302, every method but HEAD for 303, and then the
---body is dropped with the headers about it; credentials, cookies and a Host header do not follow to another origin.
---
---The variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are heeded (in capitals, too, but for `HTTP_PROXY`). `no_proxy`
---lists names, which stand for all below them, addresses and networks (`10.0.0.0/8`), each with a `:port` if only that port is meant. They are
---read when a request first needs them, and not again while the process lives.
---Raises: ECONNREFUSED; ECONNRESET, also when closed too early; ENOTFOUND for no such host; ETIMEDOUT; ETLS for the
---certificate; ETRUNCATED when an answer ends with its connection, and TLS did not say that it ends; EINVAL for a bad URL, scheme or header; EMSGSIZE beyond `max_body`; ELOOP for too many redirects; EPROTO when it is
---not HTTP, or a coded body is cut off or damaged; EPROXY when a proxy does not let us through, with
---its answer as `response`: `status`, `headers` by lower-case name, and the first KiB of its `body`. All have the `phase` that the request was in
---("request": it is not made yet, "queue", "resolve", "connect", "proxy", "tls", "send", "head", "body", "redirect"), and `sent`: it may have reached the
---server. What a function for the body raises is raised as it is; an error object without a phase is given "send".
---```lua
---local http = require "green.http"
---local resp = http.post(site .. "/orders", { json = { item = "soup", n = 2 } })
---print(resp.status, resp:json().id) --> 201  8
---```
---@class green.http
local http = {}

---@class green.http.file a file as the body of a request: a large one is sent as it lies on the disk, and its size when it begins is announced; EIO
---when it becomes shorter meanwhile. A named pipe, or a file of /proc, whose size is known at its end only, is sent in chunks
---@field file string its path
---@field type? string Content-Type (by the name's extension)

---@class green.http.part one part of a multipart form
---@field name string
---@field value? string|number the value of a field
---@field contents? string the contents of a file
---@field file? string the path of a file, which is read while it is sent
---@field filename? string default: the last part of `file`
---@field type? string its content type; default: by the name of the file

---@class green.http.settings
---@field headers? table<string, string|number|string[]> values with CR, LF or NUL are refused
---@field timeout? number seconds for all of it, default 30; with `stream`, for the head and for each further piece
---@field connect_timeout? number seconds until connected, name lookup and TLS included, default 5
---@field verify? boolean check the server's certificate, default true
---@field keep_alive? boolean keep the connection for the next request, default true
---@field ca? string certificates (PEM), or the path of their file, to trust instead of the system's
---@field redirects? integer|false the most to follow, default 10; false or 0: none
---@field timeouts? green.http.timeouts for single phases, within `timeout`
---@field tls? green.http.tls refused, as `ca` is, for a URL with http:// when no redirects are followed (EINVAL)
---@field unix? string path of a socket to connect to instead of the URL's host; a redirect to another origin is refused (EINVAL), and so is `proxy` beside it
---@field deny_private? boolean connect to no address that is not public (loopback, private, link-local ...): for URLs that users give.
---The addresses of a name decide, also after a redirect; EACCES. The environment's proxies are not used then, and `proxy` and `unix` are refused
---@field expect? boolean send a body only when the server agrees to it (Expect: 100-continue), or after a second; default false, since many servers say
---nothing, and an answer that comes while the body is sent ends it anyway. A server that answers 417 is asked once more without. Refused for a
---single request without a body
---@field accept_trailers? boolean tell the server that trailers are read (TE: trailers): many send them only then; default false
---@field max_body? integer bytes, also of the decoded body, default 64 MiB; does not count for `stream`
---@field decode? boolean undo the body's Content-Encoding, default true. After that, `content-encoding` names what is unknown and left,
---and `content-length` is that of `body`. false: the body as it came, and no Accept-Encoding is sent
---@field auth? { [1]: string, [2]: string }|{ bearer: string } user and password, or a token
---@field proxy? string|false the URL of a proxy (`http://user:password@host:3128`) instead of the environment's; false: none
---@field retry? green.http.retry|false when to try again; default: never

---@class green.http.timeouts seconds; the message of ETIMEDOUT says in which phase the time ran out
---@field queue? number until one of the connections to this server is free, when there are as many as there may be
---@field resolve? number the look-up of the name
---@field connect? number
---@field proxy? number until a proxy that was asked for a tunnel (CONNECT, for https) has given it
---@field tls? number the handshake
---@field first_byte? number from the end of the request to the beginning of the answer
---@field idle? number between two pieces, in both directions; with `stream` default `timeout`

---Files are read again when they have changed: later requests have the new contents, on connections of their own.
---@class green.http.tls
---@field cert? string the client's certificate (PEM), or the path of its file; a redirect to another origin goes without it, and without `server_name`
---@field key? string the certificate's private key (PEM), or the path of its file
---@field min_version? "1.2"|"1.3"
---@field server_name? string to ask for and to check instead of the URL's host
---@field pins? string[] "sha256/..." of public keys, at least one, of which one must be the server's

---When a request is tried again. After an answer, only a request whose method may be sent twice (GET, HEAD, OPTIONS, PUT, DELETE ...) is tried
---again; after an error, also another one of which nothing had been sent. A `Retry-After` of the server is waited for; when it is longer than
---`timeout`, the answer is returned as it is. `timeout` counts for each try.
---@class green.http.retry
---@field max? integer tries after the first, default 2
---@field on? (integer|string)[]|fun(response: green.http.response?, err: table?, attempt: integer): boolean statuses and codes of errors;
---default 429, 502, 503, 504, ECONNREFUSED, ECONNRESET, ETIMEDOUT, EAI_AGAIN. A function decides for all methods
---@field backoff? number|fun(attempt: integer): number seconds before the first further try, doubled each time, of which half is random;
---default 0.5

---What a single request has beside the settings.
---@class green.http.request_options : green.http.settings
---@field query? table added to the URL's query: name to value or list of values, or a list of {name, value}
---@field json? any the request body: a value, as JSON
---@field form? table the request body: like `query`, as a web form
---@field body? string|fun(): string?|green.http.file the request body: bytes, a file, or a function that gives the next piece, nil at the end. The
---function runs in a task of its own, beside the caller, who may have the answer already; it may wait, and is asked as fast as the server takes
---the pieces. Such a body cannot be sent again, where a redirect would have it, or a retry; a file can
---@field length? integer of the bytes that a function will give; else they are sent in chunks
---@field trailers? table<string, string|number|string[]>|fun(): table? fields that follow a body which a function gives without `length`. A table is
---announced in the header Trailer; a function is called when the body has ended, for a checksum of it, say. Fields that steer or describe the
---message (Content-Type, Authorization, Host ...) are refused (EINVAL)
---@field multipart? green.http.part[] the request body: a form with files

---@class green.http.options : green.http.request_options
---@field stream? boolean answer when the head is there; read the body with `chunks`

---@class green.http.client_settings : green.http.settings
---@field base_url? string the URL to which relative ones are appended; absolute ones must be on the same server, and a redirect to another
---server leaves the client's `headers` behind
---@field cookies? true|green.http.jar keep the cookies that answers set and send them along: in a jar of its own, or in this one

---The headers of an answer.
---@class green.http.headers : { [string]: string }
---Found by name in any case; `pairs` gives lower-case names. A repeated header's values are joined with ", ", but
---of `set-cookie` only the first is given.
local headers = {}

---All values of a header, in order; an empty list when there is none.
---Does not wait.
---```lua
---print(#http.get(site .. "/orders").headers:all "set-cookie") --> 0
---```
---@param name string
---@return string[]
function headers:all(name) end

---An answer. One that is streamed is closed by `<close>`.
---@class green.http.response
---@field status integer
---@field headers green.http.headers
---@field body? string nil when streamed
---@field url string of the last request, after all redirects
---@field version string "1.1"
---@field remote string the address that answered: "192.0.2.7:443"
---@field reused boolean on a connection that was there already
---@field timings table<"queue"|"resolve"|"connect"|"proxy"|"tls"|"first_byte"|"total", number> seconds; phases that there were not are missing
---@field size? integer bytes of a download
---@field resumed? integer of a download with `resume`: how many of them were there already
local response = {}

---The body decoded from JSON.
---Does not wait.
---Raises: EJSON with `response` and `position` when it is none; the message names URL, status and position.
---```lua
---print(http.get(site .. "/orders/7"):json().item) --> soup
---```
---@return any
function response:json() end

---The response, if its status is below 400.
---Does not wait.
---Raises: EHTTP with `response` from status 400 on.
---```lua
---local ok, err = pcall(function() return http.get(site .. "/nothing"):raise_for_status() end)
---print(err.code, err.response.status) --> EHTTP  404
---```
---@return green.http.response self
function response:raise_for_status() end

---The pieces of a streamed body, as they come. A server faster than the loop is held back. Leaving the loop early
---stops the transfer.
---Waits in the loop.
---Raises: ETIMEDOUT; ECONNRESET; ETRUNCATED; EBUSY when another task reads.
---```lua
---local size = 0
---for chunk in http.get(site .. "/log", { stream = true }):chunks() do size = size + #chunk end
---print(size) --> 21
---```
---@return fun(stream: userdata): string? read
---@return userdata stream
---@return nil
---@return userdata closed with the loop
function response:chunks() end

---The fields behind the body, its trailers: found by name in any case, as headers are; fields that only a head may have are left out. nil when there are none, and while a streamed body
---has not been read to its end.
---Does not wait.
---```lua
---local resp = http.get(site .. "/log", { stream = true })
---for _ in resp:chunks() do end
---print(resp:trailers()) --> nil
---```
---@return green.http.headers?
function response:trailers() end

---Stops the transfer of a streamed body; also called when a `<close>` variable goes out of scope.
---Does not wait.
---```lua
---local resp <close> = http.get(site .. "/log", { stream = true })
---print(resp.status) --> 200
---resp:close()
---```
function response:close() end

---GET: asks for something.
---Waits for the answer.
---```lua
---print(http.get(site .. "/orders", { query = { open = 1 }, timeout = 5 }).status) --> 200
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.get(url, opts) end

---HEAD: the headers that GET would give.
---Waits for the answer.
---```lua
---print(http.head(site .. "/orders").headers["Content-Type"]) --> application/json
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.head(url, opts) end

---POST: gives something to be worked on.
---Waits for the answer.
---```lua
---print(http.post(site .. "/orders", { form = { item = "soup" } }).status) --> 201
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.post(url, opts) end

---PUT: puts something there.
---Waits for the answer.
---```lua
---print(http.put(site .. "/orders", { json = { item = "tea" } }):json().method) --> PUT
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.put(url, opts) end

---PATCH: changes something.
---Waits for the answer.
---```lua
---print(http.patch(site .. "/orders", { json = { item = "tea" } }):json().method) --> PATCH
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.patch(url, opts) end

---DELETE: removes something.
---Waits for the answer.
---```lua
---print(http.delete(site .. "/orders").status) --> 201
---```
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.delete(url, opts) end

---Any method.
---Waits for the answer.
---```lua
---print(http.request("OPTIONS", site .. "/orders/7").status) --> 204
---```
---@param method string
---@param url string
---@param opts? green.http.options
---@return green.http.response
function http.request(method, url, opts) end

---@class green.http.download_options : green.http.request_options
---@field progress? fun(received: integer, total: integer?) called for each piece; `total` when the server says it
---@field resume? boolean go on where an earlier download ended (false)

---GET into a file, which appears at `path` when all of it is there, in place of what was there; a download that fails leaves nothing behind.
---`timeout` is for the head and for each further piece; `max_body` counts when it is given.
---
---With `resume`, what came of a download that failed stays at `path .. ".part"`, with a note beside it, if the server says by a strong ETag or
---by Last-Modified which version that is. The next one asks for the rest, and begins anew when it is another version by now. Such a download asks
---for the body without codings (`decode` is false), and a server that codes it all the same is written as it comes.
---Waits until the file is complete.
---Raises: EHTTP with `response` for a status that is not 2xx; EBUSY with `resume` when another task downloads to `path`; EPROTO for a part of the
---body that nobody asked for; what `http.get` raises; what the file system says.
---```lua
---local function progress(n) assert(n > 0) end
---local resp = http.download(site .. "/log", "log.txt", { progress = progress })
---print(resp.size) --> 21
---```
---@param url string
---@param path string
---@param opts? green.http.download_options
---@return green.http.response response without a body; `size` is the number of bytes
function http.download(url, path, opts) end

---The connections of one server, now. `connections` is the sum of the three counts below it.
---@class green.http.host_stats
---@field connections integer
---@field active integer in use by a request
---@field idle integer kept for the next request
---@field dialing integer being made: name look-up, proxy and TLS included
---@field waiting integer requests that wait for a connection, since there are as many as there may be

---@class green.http.stats : green.http.host_stats
---@field requests integer how many there were so far
---@field reused integer how many of them were sent on a kept connection
---@field hosts table<string, green.http.host_stats> by origin, with the port ("https://example.org:443"), or the socket ("unix:/run/app.sock"); those
---without connections are missing

---How the connections are used: the counts of all servers, and those of each.
---Does not wait.
---```lua
---http.get(site .. "/orders")
---local stats = http.stats()
---print(stats.requests > 0, stats.hosts[site].connections > 0) --> true  true
---```
---@return green.http.stats
function http.stats() end

---A cookie jar (RFC 6265bis), empty or with the cookies that another jar's `list` gave. Which hosts a server may set cookies for is decided as
---browsers do, by the list of public suffixes.
---Does not wait.
---Raises: ENOLIBRARY without libpsl.
---```lua
---local jar = http.cookies()
---jar:store("https://www.example.com/", "session=7; Domain=example.com; Secure")
---print(jar:header "https://shop.example.com/", jar:header "http://example.com/") --> session=7  nil
---```
---@param list? green.http.cookie[]
---@return green.http.jar
function http.cookies(list) end

---A copy of headers, for an intermediary to pass on: without those about one connection or the framing of one message
---(Connection and the headers it names, Transfer-Encoding, Content-Length, TE, Trailer, Upgrade, Proxy-* ...), and without Host. Trailers can be
---copied in the same way, and passed on by the option `trailers` and `out:trailers`. `response.proxy` does all this by itself.
---Does not wait.
---```lua
---print(http.forward({ Accept = "text/html", Connection = "close" }).accept) --> text/html
---```
---@param headers table<string, string|string[]>
---@return table<string, string|string[]> copy names in lower case
function http.forward(headers) end

---@class green.http.cookie
---@field name string
---@field value string
---@field domain string
---@field host_only? boolean not for hosts below `domain`; default true
---@field path? string default "/"
---@field secure? boolean
---@field http_only? boolean
---@field same_site? "Strict"|"Lax"|"None"
---@field expires? number seconds since 1970

---Cookies that answers set. A jar holds at most 180 of a domain and 3000 in all; beyond that it drops those that were unused for longest.
---```lua
---local client = http.client { cookies = http.cookies() }
---client:get(site .. "/orders")
---```
---@class green.http.jar
local jar = {}

---The value of the Cookie header of a request for this URL, nil when no cookie is for it.
---Does not wait.
---```lua
---print(http.cookies({ { name = "a", value = "1", domain = "ann" } }):header "http://ann/") --> a=1
---```
---@param url string
---@return string?
function jar:header(url) end

---Takes a Set-Cookie line of an answer from this URL.
---Does not wait.
---```lua
---print(http.cookies():store("http://ann.example/", "a=1; Domain=example")) --> false
---```
---@param url string
---@param line string
---@return boolean taken its cookie was kept, or deleted another one
function jar:store(url, line) end

---The cookies as plain tables, the oldest first: to be saved, and given to http.cookies again.
---Does not wait.
---```lua
---local jar = http.cookies()
---jar:store("http://ann.example/shop/", "a=1")
---print(jar:list()[1].path) --> /shop
---```
---@return green.http.cookie[]
function jar:list() end

---Forgets all cookies.
---Does not wait.
---```lua
---local jar = http.cookies { { name = "a", value = "1", domain = "ann" } }
---jar:clear()
---print(#jar:list()) --> 0
---```
function jar:clear() end

---A client with settings of its own: `get`, `post` ... and `request` as methods, with a URL relative to `base_url`.
---Does not wait.
---Raises: EINVAL for a bad `base_url`.
---```lua
---local api = http.client { base_url = site, headers = { Authorization = "Bearer xyz" } }
---print(api:get("/orders/7"):json().id) --> 7
---```
---@param settings? green.http.client_settings
---@return green.http.client
function http.client(settings) end

---Requests with common settings.
---```lua
---local api = http.client { base_url = site }
---print(api:get("orders").status, api:head("orders").status) --> 200  200
---print(api:post("orders", { json = {} }).status, api:request("PUT", "orders").status) --> 201  201
---api:put("orders", { body = "x" })
---api:patch("orders", { body = "x" })
---api:delete "orders"
---```
---@class green.http.client
local client = {}

---As http.get, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:get(url, opts) end

---As http.head, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:head(url, opts) end

---As http.post, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:post(url, opts) end

---As http.put, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:put(url, opts) end

---As http.patch, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:patch(url, opts) end

---As http.delete, with the client's settings.
---Waits for the answer.
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:delete(url, opts) end

---As http.download, with the client's settings.
---Waits until the file is complete.
---```lua
---print(http.client({ base_url = site }):download("log", "log.txt").status) --> 200
---```
---@param url string
---@param path string
---@param opts? green.http.download_options
---@return green.http.response
function client:download(url, path, opts) end

---As http.request, with the client's settings.
---Waits for the answer.
---@param method string
---@param url string
---@param opts? green.http.options
---@return green.http.response
function client:request(method, url, opts) end

return http
