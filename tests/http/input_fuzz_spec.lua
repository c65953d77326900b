-- SPDX-License-Identifier: MIT
-- Random requests for everything that reads them: whatever the bytes are, the answer is one that the protocol has for them, no
-- error of Lua (a 500), and well-formed. FUZZ_SEED=7 FUZZ_CASES=100000 runs others, and more of them.
local fault = require "green.error"
local fs = require "green.fs"
local json = require "green.json"
local new_app = require("green.app").new
local raw = require "http.raw"
local response = require "green.response"

local seed = math.tointeger(tonumber(os.getenv "FUZZ_SEED" or 8))
local cases = math.tointeger(tonumber(os.getenv "FUZZ_CASES" or 6000))

local WORDS = {
  '"', "\\", ";", ",", "=", "&", "%", "+", "%41", "%zz", "%00", "%2e", "%2f", "%5c", " ", "\t", "\255", "\u{e9}", "a", "name", "filename*", "filename", "UTF-8''", "q=", "0.5",
  "1.1.1", "bytes=", "-", "0", "99999999999999999999", "W/", "*", "/", "..", ".", "text/html", "gzip", "Sun, 06 Nov 1994 08:49:37 GMT", ":", "form-data", "multipart/form-data",
  "boundary=XyZ", "--XyZ", "--", "Content-Disposition: form-data; name=a", "application/json", "application/x-www-form-urlencoded", "?", "{", "}", "[", "]", "1", "null",
  "a.txt", "a.js", "//", "charset", "'", "\u{2028}", "e5", "true", ("a"):rep(300),
}
local RAW = { "\r\n", "\r", "\n", "\0", "\r\n\r\n", "#", "\1", "\127" } -- and these where no header line has to survive
local HEADERS = {
  "Cookie", "Content-Type", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding", "Accept", "X-A", "Origin",
}
local STARTS = { "/static/", "/run/", "/dots/", "/all/x/", "/file/", "/", "/static/a.txt", "/static/a.js", "/file/a.txt" }
local TYPES = { "multipart/form-data; boundary=XyZ", "application/x-www-form-urlencoded", "application/json" }

describe("random requests (seed " .. seed .. ")", function()
  local random = seed

  local function pick(n)
    random = random * 6364136223846793005 + 1442695040888963407
    return (random >> 33) % n + 1
  end

  local function one_of(list) return list[pick(#list)] end

  local function words(n, wild)
    local out = {}
    for i = 1, pick(n + 1) - 1 do out[i] = wild and pick(5) == 1 and one_of(RAW) or one_of(WORDS) end
    return table.concat(out)
  end

  local function next_request(wild)
    local spec = { method = one_of { "GET", "POST", "HEAD" }, headers = {}, body = words(16, true) }
    spec.path = one_of(STARTS) .. words(4, wild)
    if pick(2) == 1 then spec.path = spec.path .. "?what=" .. one_of { "form", "json", "parts" } .. "&" .. words(4, wild) end
    for _ = 1, pick(5) - 1 do spec.headers[one_of(HEADERS)] = words(6, wild) end
    if pick(2) == 1 then spec.headers["Content-Type"] = one_of(TYPES) end
    if pick(3) == 1 then spec.body = "--XyZ\r\nContent-Disposition: form-data; " .. words(8, true) .. "\r\n\r\n" .. words(4) .. "\r\n--XyZ--" end
    return spec
  end

  local function app_over(dir)
    for name, text in pairs { ["www/a.txt"] = "0123456789", ["www/a.js"] = "let x", ["www/a.js.gz"] = "GZIP", ["run/a.lua"] = "return 'a'" } do
      fs.mkdir(fs.dirname(fs.join(dir, name)), { parents = true })
      fs.write(fs.join(dir, name), text)
    end
    local www = dir .. "/www"
    local app = new_app():static("/static", www):static("/dots", www, { dotfiles = true, index = false }):scripts("/run", dir .. "/run")
    app:any("/all/:one/*rest", function(req)
      local what = req.query.what
      if what == "form" then req:form() elseif what == "json" then req:json() end
      for part in what == "parts" and req:parts() or function() end do part:body() end
      for name, value in pairs(req.cookies) do assert(#name > 0 and not value:find(";", 1, true)) end
      return req.params.one .. req.params.rest
    end)
    return app:any("/file/*path", function(req) return response.file(req.params.path, { root = www, download = req.query.d or true }) end)
  end

  it("raise nothing by chance", function()
    local dir <close> = fs.temp_dir()
    local app = app_over(dir.path)
    for _ = 1, cases do
      local spec = next_request(true)
      local res = app:inject(spec)
      if res.error and not (fault.is(res.error) and res.error.status) then error(("%q: %s"):format(spec.path, res.traceback)) end
      assert.is_true(res.status < 500)
      for name, value in pairs(res.headers) do
        for _, one in ipairs(type(value) == "table" and value or { value }) do assert.is_nil(one:find "[%z\1-\8\10-\31\127]", name) end
      end
      if res.headers["content-type"] == "application/json" and res.body ~= "" then json.decode(res.body) end
    end
  end)

  it("get well-formed answers", function()
    local dir <close> = fs.temp_dir()
    local app = app_over(dir.path)
    raw.serve(function(req) return app:handle(req) end, nil, function(address)
      for _ = 1, cases // 10 do
        local spec = next_request()
        local head = { ("%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n"):format(spec.method, spec.path, #spec.body) }
        for name, value in pairs(spec.headers) do head[#head + 1] = name .. ": " .. value .. "\r\n" end
        local client <close> = raw.connect(address)
        client:send(table.concat(head), "\r\n", spec.body)
        local answer = client:answer(spec.method == "HEAD")
        assert.is_true(answer ~= nil and answer.status < 500, head[1])
        if answer.headers["content-type"] == "application/json" and spec.method ~= "HEAD" then json.decode(answer.body) end
        if answer.status == 206 then assert.matches("^bytes", answer.headers["content-range"] or "bytes") end
      end
    end)
  end)
end)
