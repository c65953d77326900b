-- SPDX-License-Identifier: MIT
local date = require "green.date"
local debug = require "green.debug"
local mime = require "green.mime"
local new_app = require("green.app").new
local response = require "green.response"

local function run(command, ...) assert.is_true((os.execute(command:format(...)))) end

local function write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

describe("static files", function()
  local dir, app
  local big = ("0123456789abcdef"):rep(20000) -- several chunks

  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    run("mkdir -p %s/www/sub %s/www/bare %s/www/.git %s/www-private", dir, dir, dir, dir)
    write(dir .. "/secret", "secret")
    write(dir .. "/www-private/key", "secret")
    write(dir .. "/www/.git/config", "secret")
    write(dir .. "/www/.env", "secret")
    write(dir .. "/www/a.txt", "0123456789")
    write(dir .. "/www/big.bin", big)
    write(dir .. "/www/empty.css", "")
    write(dir .. "/www/a b%.html", "<p>")
    write(dir .. "/www/index.html", "<h1>root")
    write(dir .. "/www/sub/index.html", "<h1>sub")
    write(dir .. "/www/app.js", "let x")
    write(dir .. "/www/app.js.gz", "GZIPPED")
    write(dir .. "/www/old.js", "new text")
    write(dir .. "/www/old.js.gz", "STALE")
    run("touch -d '2001-02-03 04:05:06 UTC' %s/www/a.txt %s/www/old.js.gz", dir, dir)
    run("ln -s ../secret %s/www/out && ln -s .. %s/www/up && ln -s a.txt %s/www/in.txt && ln -s %s/www-private %s/www/other", dir, dir, dir, dir, dir)
    run("mkfifo %s/www/pipe", dir)
    app = new_app()
    app:static("/files", dir .. "/www"):static("/cached/", dir .. "/www", { max_age = 3600, dotfiles = true, index = false, precompressed = false })
  end)

  teardown(function() run("rm -rf %s", dir) end)

  local function get(path, headers, method) return app:inject { path = path, headers = headers, method = method } end

  it("are sent with their type and validators", function()
    local res = get "/files/a.txt"
    assert.same({ 200, "0123456789" }, { res.status, res.body })
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.equal("Sat, 03 Feb 2001 04:05:06 GMT", res.headers["last-modified"])
    assert.matches('^"[%x-]+"$', res.headers.etag)
    assert.equal("nosniff", res.headers["x-content-type-options"])
    assert.equal("<p>", get("/files/a%20b%25.html").body)
    assert.same({ 200, "" }, { get("/files/empty.css").status, get("/files/empty.css").body })
    assert.equal("public, max-age=3600", get("/cached/a.txt").headers["cache-control"])
  end)

  it("are streamed when they are large", function()
    local res = get "/files/big.bin"
    assert.is_true(res.body == big)
    assert.equal(tostring(#big), res.headers["content-length"])
    assert.equal("application/octet-stream", res.headers["content-type"])
  end)

  it("answer HEAD with the length and nothing else", function()
    local res = get("/files/a.txt", nil, "HEAD")
    assert.same({ 200, "", "10" }, { res.status, res.body, res.headers["content-length"] })
    res = get("/files/a.txt", { range = "bytes=0-1" }, "HEAD")
    assert.same({ 200, "10" }, { res.status, res.headers["content-length"] })
  end)

  it("know no other method", function()
    local res = get("/files/a.txt", nil, "POST")
    assert.same({ 405, "GET, HEAD, OPTIONS" }, { res.status, res.headers.allow })
  end)

  it("are not sent again when the client has them", function()
    local first = get "/files/a.txt"
    local etag, modified = first.headers.etag, first.headers["last-modified"]
    for _, headers in ipairs {
      { ["if-none-match"] = etag }, { ["if-none-match"] = "W/" .. etag }, { ["if-none-match"] = '"x", ' .. etag }, { ["if-none-match"] = "*" },
      { ["if-modified-since"] = modified }, { ["if-modified-since"] = "Sun, 04 Feb 2001 00:00:00 GMT" },
      { ["if-none-match"] = etag, ["if-modified-since"] = "Fri, 02 Feb 2001 00:00:00 GMT" },
    } do
      local res = get("/files/a.txt", headers)
      assert.same({ 304, "", etag }, { res.status, res.body, res.headers.etag })
      assert.is_nil(res.headers["content-type"])
    end
    for _, headers in ipairs {
      { ["if-none-match"] = '"x"' }, { ["if-modified-since"] = "Fri, 02 Feb 2001 00:00:00 GMT" }, { ["if-modified-since"] = "yesterday" },
      { ["if-none-match"] = '"x"', ["if-modified-since"] = modified },
    } do
      assert.equal(200, get("/files/a.txt", headers).status)
    end
  end)

  it("are not sent when they are not what the client takes them for", function()
    local first = get "/files/a.txt"
    local etag, modified = first.headers.etag, first.headers["last-modified"]
    for _, headers in ipairs {
      { ["if-match"] = '"x"' }, { ["if-match"] = "W/" .. etag }, { ["if-match"] = "" }, { ["if-match"] = etag:sub(2, -2) }, { ["if-match"] = '"x", W/"y"' },
      { ["if-unmodified-since"] = "Fri, 02 Feb 2001 00:00:00 GMT" }, { ["if-match"] = '"x"', ["if-none-match"] = etag },
    } do
      local res = get("/files/a.txt", headers)
      assert.same({ 412, "" }, { res.status, res.body })
    end
    for _, headers in ipairs {
      { ["if-match"] = "*" }, { ["if-match"] = etag }, { ["if-match"] = '"x" ,W/"y",' .. etag }, { ["if-unmodified-since"] = modified },
      { ["if-unmodified-since"] = "Thu, 31 Feb 2001 00:00:00 GMT" }, { ["if-unmodified-since"] = "yesterday" },
      { ["if-match"] = etag, ["if-unmodified-since"] = "Fri, 02 Feb 2001 00:00:00 GMT" },
      { ["if-modified-since"] = "Sun, 04 Feb 2001 24:00:00 GMT" }, { ["if-modified-since"] = "Sun, 30 Feb 2001 00:00:00 GMT" }, { ["if-modified-since"] = modified .. " " },
    } do
      assert.equal(200, get("/files/a.txt", headers).status)
    end
    assert.equal(304, get("/files/a.txt", { ["if-match"] = etag, ["if-none-match"] = etag }).status)
  end)

  describe("in ranges", function()
    local function range(value, more)
      local headers = { range = value }
      for k, v in pairs(more or {}) do headers[k] = v end
      local res = get("/files/a.txt", headers)
      return { res.status, res.body, res.headers["content-range"] }
    end

    it("send a part", function()
      assert.same({ 206, "0123", "bytes 0-3/10" }, range "bytes=0-3")
      assert.same({ 206, "9", "bytes 9-9/10" }, range "bytes=9-")
      assert.same({ 206, "789", "bytes 7-9/10" }, range "bytes=-3")
      assert.same({ 206, "0123456789", "bytes 0-9/10" }, range "bytes=-99")
      assert.same({ 206, "56789", "bytes 5-9/10" }, range "bytes=5-99")
      local res = get("/files/big.bin", { range = "bytes=10-200009" })
      assert.is_true(res.body == big:sub(11, 200010))
      assert.equal("200000", res.headers["content-length"])
    end)

    it("cannot be had past the end", function()
      assert.same({ 416, "", "bytes */10" }, range "bytes=10-")
      assert.same({ 416, "", "bytes */10" }, range "bytes=-0")
      assert.equal(416, get("/files/empty.css", { range = "bytes=0-" }).status)
    end)

    it("are ignored when they make no sense, are many, or want more than there is", function()
      for _, value in ipairs {
        "bytes=3-1", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes 0-1", "bytes=0-1,x", "bytes=,", "bytes=0-1-2", "bytes=0x1-2", "bytes=1e0-2",
        "bytes=99999999999999999999-5", "bytes=-1-2", "bytes=+1-2", "bytes=0-9,0-9", "bytes=0-0" .. (",0-0"):rep(64), "=0-1", "bytes", "",
      } do
        assert.same({ 200, "0123456789" }, range(value), value)
      end
      assert.same({ 206, "0", "bytes 0-0/10" }, range("bytes=0-0" .. (",10-"):rep(63)))
    end)

    it("may be written with blanks, in any case, and past what a number holds", function()
      for _, value in ipairs { "Bytes=0-3", "BYTES=0-3", "bytes= 0-3", "bytes=\t0 - 3 ,", "bytes=,,0-3", "bytes=000000000000000000000-3", "bytes=0-3,10-20" } do
        assert.same({ 206, "0123", "bytes 0-3/10" }, range(value), value)
      end
      assert.same({ 206, "9", "bytes 9-9/10" }, range "bytes=9-99999999999999999999")
      assert.same({ 206, "0123456789", "bytes 0-9/10" }, range "bytes=-99999999999999999999")
      assert.same({ 416, "", "bytes */10" }, range "bytes=99999999999999999999-")
      assert.same({ 416, "", "bytes */10" }, range "bytes=10-,20-30,-0")
    end)

    it("of which there are several come as parts", function()
      local function parts(path, value)
        local res = get(path, { range = value })
        assert.equal(206, res.status)
        assert.is_nil(res.headers["content-range"])
        local boundary = assert(res.headers["content-type"]:match "^multipart/byteranges; boundary=(%x+)$")
        local body, out = "\r\n" .. res.body, {}
        assert.equal("\r\n--" .. boundary .. "--\r\n", body:sub(-#boundary - 8))
        for head, bytes in body:gmatch("\r\n%-%-" .. boundary .. "\r\n(.-)\r\n\r\n(.-)%f[\r]") do out[#out + 1] = { head, bytes } end
        return out, res
      end
      local head = "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes %s/10"
      assert.same({ { head:format "0-1", "01" }, { head:format "4-4", "4" }, { head:format "9-9", "9" } }, (parts("/files/a.txt", "bytes=0-1, 4-4,-1,20-")))
      local of_big, res = parts("/files/big.bin", "bytes=16-31,319984-")
      assert.same({ { "0123456789abcdef" }, { "0123456789abcdef" } }, { { of_big[1][2] }, { of_big[2][2] } })
      assert.equal(tostring(#res.body), res.headers["content-length"])
    end)

    it("of an empty file are none, but its end may be asked for", function()
      assert.same({ 200, "" }, { get("/files/empty.css", { range = "bytes=-5" }).status, get("/files/empty.css", { range = "bytes=-5" }).body })
      assert.equal(416, get("/files/empty.css", { range = "bytes=-0" }).status)
    end)

    it("need the file to be the same still", function()
      local res = get "/files/a.txt"
      assert.equal(206, range("bytes=0-3", { ["if-range"] = res.headers.etag })[1])
      assert.equal(206, range("bytes=0-3", { ["if-range"] = res.headers["last-modified"] })[1])
      assert.equal(200, range("bytes=0-3", { ["if-range"] = '"other"' })[1])
      assert.equal(200, range("bytes=0-3", { ["if-range"] = "W/" .. res.headers.etag })[1])
      assert.equal(200, range("bytes=0-3", { ["if-range"] = "Sun, 04 Feb 2001 00:00:00 GMT" })[1])
    end)
  end)

  it("are sent compressed when there is such a file and the client takes it", function()
    local plain = get "/files/app.js"
    assert.same({ "let x", "accept-encoding" }, { plain.body, plain.headers.vary })
    for _, accept in ipairs { "gzip", "br, GZIP;q=0.5, *;q=0" } do
      local res = get("/files/app.js", { ["accept-encoding"] = accept })
      assert.same({ "GZIPPED", "gzip", "text/javascript; charset=utf-8" }, { res.body, res.headers["content-encoding"], res.headers["content-type"] })
      assert.is_not_equal(plain.headers.etag, res.headers.etag)
      assert.equal(304, get("/files/app.js", { ["accept-encoding"] = accept, ["if-none-match"] = res.headers.etag }).status)
    end
    for _, accept in ipairs { "*", "x-gzip", "gzip;q=0.001", "gzip ; q=1.000 , br", "gzip;q=0.5, identity;q=0.5" } do
      assert.equal("GZIPPED", get("/files/app.js", { ["accept-encoding"] = accept }).body, accept)
    end
    for _, accept in ipairs {
      "gzip;q=0", "br", "", "gzip;q=1.1.1", "gzip;q=.", "gzip;q=.5", "gzip;q=1.1", "gzip;q=2", "gzip;q=0x1", "gzip;q=1e0", "gzip;q=nan", "gzip;q=inf", "gzip;q=-1",
      "gzip;q=", 'gzip;q="1"', "gzip;q=0.0001", "*;q=0", "gzip;q=0, *", "gzip;q=0.2, identity;q=0.5", "gzip gzip", "=gzip", '"gzip"',
    } do
      assert.equal("let x", get("/files/app.js", { ["accept-encoding"] = accept }).body)
    end
    assert.equal("new text", get("/files/old.js", { ["accept-encoding"] = "gzip" }).body)
    assert.equal("let x", get("/cached/app.js", { ["accept-encoding"] = "gzip" }).body)
  end)

  it("have an index", function()
    assert.equal("<h1>root", get("/files/").body)
    assert.equal("<h1>sub", get("/files/sub/").body)
    local res = get "/files/sub?a=b"
    assert.same({ 301, "/files/sub/?a=b" }, { res.status, res.headers.location })
    assert.equal(404, get("/files/bare/").status)
    assert.equal(404, get("/cached/").status)
    assert.equal(404, get("/cached/sub").status)
    assert.equal(404, get("/files/a.txt/").status)
    assert.equal(404, get("/files").status)
  end)

  it("cannot be left", function()
    for _, path in ipairs {
      "/files/../secret", "/files/%2e%2e/secret", "/files/..%2fsecret", "/files//etc/passwd",
      "/files/%2fetc%2fpasswd", "/files/sub/../../secret", "/files/./a.txt", "/files/..", "/files/out", "/files/up/secret",
      "/files/other/key", "/files/sub//index.html", "/files/.env", "/files/.git/config", "/files/%2eenv", "/files/sub%2f..%2f.env",
      "/files/pipe", "/files/none", "/files/a.txt/x", "/files/" .. ("x"):rep(300), "/files/../www-private/key",
    } do
      local res = get(path)
      assert.equal(404, res.status, path)
      assert.is_nil(res.body:find("secret", 1, true))
    end
    for _, path in ipairs { "/files/a.txt%00.png", "/files/sub/..%2f..%2f..%2fsecret" } do assert.equal(400, get(path).status) end -- out of the root
    assert.equal("0123456789", get("/files/in.txt").body)
    assert.equal("secret", get("/cached/.env").body)
    assert.equal(404, get("/cached/..%2fsecret").status)
  end)

  it("redirect nowhere else", function()
    local top = new_app():static("/", dir .. "/www")
    assert.equal("<h1>root", top:inject("/").body)
    for _, path in ipairs { "//sub", "//example.org/%2e%2e", "/%2fexample.org" } do
      assert.equal(404, top:inject(path).status, path)
    end
    assert.equal("/sub/", top:inject("/sub").headers.location)
  end)

  it("need a directory, and options that exist", function()
    assert.error_matches(function() new_app():static("/x", dir .. "/nowhere") end, "not a directory")
    assert.error_matches(function() new_app():static("/x", dir, { typo = 1 }) end, "unknown file option 'typo'")
  end)

  describe("as an answer of a handler", function()
    local function answer(path, opts, headers)
      local one = new_app():get("/", function() return response.file(path, opts):header("x-a", "b") end)
      return one:inject { headers = headers }
    end

    it("honour the request they never saw", function()
      local res = answer(dir .. "/www/a.txt", nil, { range = "bytes=0-1" })
      assert.same({ 206, "01", "b" }, { res.status, res.body, res.headers["x-a"] })
      assert.equal(304, answer(dir .. "/www/a.txt", nil, { ["if-none-match"] = res.headers.etag }).status)
      assert.equal(404, answer(dir .. "/none").status)
      assert.equal(404, answer(dir .. "/www/a.txt\0.png").status)
      assert.equal(404, answer(dir).status)
    end)

    it("have a type, a status, a name to be saved under", function()
      local res = answer(dir .. "/www/a.txt", { type = "text/x", status = 503, download = 'a"b\u{e9}.txt' }, { range = "bytes=0-1" })
      assert.same({ 503, "0123456789", "text/x" }, { res.status, res.body, res.headers["content-type"] })
      assert.equal("attachment; filename=\"a_b\u{e9}.txt\"; filename*=UTF-8''a%22b%C3%A9.txt", res.headers["content-disposition"])
      assert.matches('filename="a.txt"', answer(dir .. "/www/a.txt", { download = true }).headers["content-disposition"])
    end)

    it("stay below a root when one is given", function()
      local root = { root = dir .. "/www" }
      assert.equal("0123456789", answer("a.txt", root).body)
      for _, path in ipairs { "../secret", "/etc/passwd", "out", "up/secret", ".env", "a.txt\0", "" } do
        assert.equal(404, answer(path, root).status, path)
      end
    end)

    it("pass through middleware", function()
      local one = new_app():use(function(req, next) return next(req):header("x-seen", "1") end)
      one:get("/", function() return response.file(dir .. "/www/a.txt") end)
      local res = one:inject "/"
      assert.same({ "0123456789", "1" }, { res.body, res.headers["x-seen"] })
    end)
  end)

  it("leave no file open", function()
    collectgarbage()
    local before = debug.census().handles
    for _, headers in ipairs {
      {}, { range = "bytes=0-1" }, { range = "bytes=99-" }, { ["if-none-match"] = "*" }, { ["accept-encoding"] = "gzip" },
    } do
      for _, path in ipairs { "/files/a.txt", "/files/big.bin", "/files/app.js", "/files/old.js", "/files/", "/files/sub", "/files/bare/", "/files/pipe", "/files/a.txt/" } do
        get(path, headers)
        get(path, headers, "HEAD")
      end
    end
    assert.equal(before, debug.census().handles)
  end)
end)

describe("content types", function()
  it("follow the extension", function()
    assert.equal("text/html; charset=utf-8", mime.of "/a/b.HTML")
    assert.equal("image/svg+xml", mime.of "x.svg")
    assert.equal("application/octet-stream", mime.of "Makefile")
    assert.equal("application/octet-stream", mime.of "dir.html/Makefile")
    assert.is_true(mime.compressible "text/css; charset=utf-8")
    assert.is_false(mime.compressible "image/png")
  end)
end)

describe("dates", function()
  it("go there and back", function()
    for _, seconds in ipairs { 0, 951782400, 951868799, 784111777, 4102444800, 1709164800, os.time() } do
      assert.equal(seconds, date.parse(date.format(seconds)))
    end
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", date.format(784111777.9))
    for _, seconds in ipairs { -1e18, -99999999999, 253402300800, 1e15, 1e300 } do -- of files whose clock was wrong
      assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", date.format(seconds))
    end
    for _, text in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994" } do
      assert.equal(784111777, date.parse(text), text)
    end
    assert.equal(951782400, date.parse "Tue, 29 Feb 2000 00:00:00 GMT")
    assert.equal(os.date("!*t").year - os.date("!*t").year % 100, tonumber(os.date("!%Y", date.parse "Saturday, 01-Jan-00 00:00:00 GMT")))
    for _, text in ipairs {
      "", "now", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 31 Jun 1994 08:49:37 GMT", "Thu, 29 Feb 1900 00:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
      " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0000", "sun, 06 nov 1994 08:49:37 gmt", "Sun, 06 Nov -994 08:49:37 GMT",
      "Funday, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "784111777", "Sun, 06 Nov 1994 08:49:37 GMT\0",
    } do assert.is_nil(date.parse(text), text) end
  end)
end)
