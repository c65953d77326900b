---@meta green.compress
-- SPDX-License-Identifier: MIT

---Answers that leave compressed where that pays: text, JSON, XML and the like, of 1,024 bytes and more, for clients that accept it (zstd
---before gzip, unless the client says otherwise). A stream is flushed with each write, so that nothing of it is held back. The task that
---answers does the work, in slices, and its time counts as the request's.
---
---What is compressed already stays as it is: answers with a Content-Encoding, as those of `app:static` are with a file FILE.br, FILE.zst or
---FILE.gz beside FILE. So do parts of files, answers with `Cache-Control: no-transform`, and answers that set a cookie: whoever can make a
---browser ask for a page that holds both a secret and something of the request could tell from its length what the secret is
---(https://breachattack.com). A page that shows such a secret, a CSRF token perhaps, next to what its visitors sent says `no-transform`.
---Under --dev nothing is compressed.
---```lua
---local compress = require "green.compress"
---app:use(compress.new())
---app:get("/menu", function() return ("soup, "):rep(1000) end)
---local res = app:inject { path = "/menu", headers = { ["accept-encoding"] = "gzip" } }
---print(res.headers["content-encoding"], #res.body < 100) --> gzip  true
---```
---@class green.compress
local compress = {}

---@class green.compress.options
---@field min? integer bytes of the smallest answer that is compressed (1024); a stream whose length is not known always is
---@field codings? ("gzip"|"zstd")[] the one that is liked best first; { "zstd", "gzip" }
---@field cookies? boolean answers that set a cookie, too: none of them has both a secret and something of its request (false)

---Middleware that compresses.
---Does not wait.
---Raises: a message for unknown or mistyped options. A request for which zlib or libzstd is missing raises ENOLIBRARY.
---```lua
---app:group("/api", function(api)
---  api:use(require "green.compress".new { codings = { "gzip" }, min = 500 })
---end)
---```
---@param options? green.compress.options
---@return green.middleware
function compress.new(options) end

return compress
