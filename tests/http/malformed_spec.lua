-- SPDX-License-Identifier: MIT
-- What must not be understood in two ways is not understood at all (RFC 9112, 11). Each kind of malformed
-- head gets its status, Connection: close and the end of the connection, whatever the pieces it comes in; and
-- the server goes on with others.
local raw = require "http.raw"
local task = require "green.task"

local GOOD = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

-- A request with this request line, these header lines, this target.
local function line(text) return text .. "\r\nHost: a\r\n\r\n" end
local function header(text) return "GET / HTTP/1.1\r\nHost: a\r\n" .. text .. "\r\n\r\n" end
local function target(text) return line("GET " .. text .. " HTTP/1.1") end
local function host(text) return "GET / HTTP/1.1\r\nHost: " .. text .. "\r\n\r\n" end
local function length(text) return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. text .. "\r\n\r\nx" end
local function coding(text) return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " .. text .. "\r\n\r\n1\r\nx\r\n0\r\n\r\n" end
local function chunks(text) return coding("chunked"):gsub("1\r\nx\r\n0\r\n\r\n$", "") .. text end

local heads = {
  -- the request line
  { "two spaces before the target", line "GET  / HTTP/1.1", 400 },
  { "two spaces before the version", line "GET /  HTTP/1.1", 400 },
  { "a space at the end of the request line", line "GET / HTTP/1.1 ", 400 },
  { "a space before the method", line " GET / HTTP/1.1", 400 },
  { "a tab after the method", line "GET\t/ HTTP/1.1", 400 },
  { "a tab before the version", line "GET /\tHTTP/1.1", 400 },
  { "no target", line "GET HTTP/1.1", 400 },
  { "no version", line "GET /", 400 },
  { "only a method", line "GET", 400 },
  { "a bare CR before the request line", "\r\r" .. GOOD, 400 },
  { "a bare LF before the request line", "\n" .. GOOD, 400 },
  { "a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400 },
  { "a bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400 },
  { "two CR after the request line", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400 },
  { "only bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400 },
  { "NUL first", "\0" .. GOOD, 400 },
  { "a flood of empty lines", ("\r\n"):rep(20000), 431 },
  { "TLS", "\22\3\1\2\0\1\0\1\252\3\3" .. ("\1"):rep(64), 400 },
  { "an SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", 400 },
  { "SOCKS", "\5\1\0", 400 },
  { "JSON", '{"method":"GET"}\r\n\r\n', 400 },
  -- methods
  { "a method too long", line(("A"):rep(33) .. " / HTTP/1.1"), 501 },
  { "an empty method", line " / HTTP/1.1", 400 },
  { "a method that is no token", line "G(T / HTTP/1.1", 400 },
  { "a NUL in the method", line "GE\0T / HTTP/1.1", 400 },
  { "TRACE", line "TRACE / HTTP/1.1", 501 },
  { "CONNECT", line "CONNECT a:80 HTTP/1.1", 501 },
  -- versions
  { "HTTP/0.9", line "GET / HTTP/0.9", 400 },
  { "HTTP/2.0", line "GET / HTTP/2.0", 505 },
  { "HTTP/3.0", line "GET / HTTP/3.0", 505 },
  { "HTTP/9.9", line "GET / HTTP/9.9", 505 },
  { "HTTP/11.1", line "GET / HTTP/11.1", 400 },
  { "HTTP/1.11", line "GET / HTTP/1.11", 400 },
  { "HTTP/1", line "GET / HTTP/1", 400 },
  { "HTTP/1.", line "GET / HTTP/1.", 400 },
  { "HTTP/.1", line "GET / HTTP/.1", 400 },
  { "HTTP/x.1", line "GET / HTTP/x.1", 400 },
  { "HTTP 1.1", line "GET / HTTP 1.1", 400 },
  { "http/1.1", line "GET / http/1.1", 400 },
  { "HTTPS/1.1", line "GET / HTTPS/1.1", 400 },
  { "RTSP/1.0", line "GET / RTSP/1.0", 400 },
  { "a method and the version of RTSP", line "DESCRIBE / RTSP/1.0", 400 },
  { "ICE/1.0", line "SOURCE / ICE/1.0", 400 },
  { "the preface of HTTP/2 with a target", "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
  -- targets
  { "a target that is no path", target "a", 400 },
  { "a target that is only a query", target "?a", 400 },
  { "an asterisk for GET", target "*", 400 },
  { "an asterisk and more", line "OPTIONS *a HTTP/1.1", 400 },
  { "a fragment", target "/a#b", 400 },
  { "a fragment behind the query", target "/a?b#c", 400 },
  { "NUL in the target", target "/a\0b", 400 },
  { "a control character in the target", target "/a\1b", 400 },
  { "DEL in the target", target "/a\127b", 400 },
  { "a tab in the target", target "/a\tb", 400 },
  { "a form feed in the target", target "/a\fb", 400 },
  { "a CR in the target", target "/a\rb", 400 },
  { "a byte beyond ASCII in the target", target "/\195\164", 400 },
  { "a space in the target", target "/a b", 400 },
  { "an authority as target", target "a:80", 400 },
  { "another scheme", target "ftp://a/", 400 },
  { "a URL without host", target "http:///a", 400 },
  { "a URL that is only a scheme", target "http://", 400 },
  { "a URL with a user", target "http://u@a/", 400 },
  { "a URL with a port that is none", target "http://a:b/", 400 },
  { "a URL with half an address", target "http://[::1/", 400 },
  { "%00 in the path", target "/a%00b", 400 },
  { "a backslash in the path", target "/a\\..\\b", 400 },
  { "a backslash in the path of a URL", target "http://a/b\\c?d", 400 },
  { "half an escape", target "/a%4", 400 },
  { "an escape that is none", target "/a%zz", 400 },
  { "dot segments above the root", target "/..", 400 },
  { "dot segments above the root, later", target "/a/../../b", 400 },
  { "escaped dot segments", target "/%2e%2E/a", 400 },
  { "dot segments behind escaped slashes", target "/a%2f..%2F../b", 400 },
  { "dot segments above the root in a URL", target "http://a/..", 400 },
  { "a target too long", target("/" .. ("a"):rep(8192)), 414 },
  { "a query too long", target("/?" .. ("a"):rep(8192)), 414 },
  -- Host
  { "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
  { "no Host beside a URL", "GET http://a/ HTTP/1.1\r\n\r\n", 400 },
  { "an empty Host", host "", 400 },
  { "an empty Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", 400 },
  { "a Host that is only a port", host ":80", 400 },
  { "a Host that is only a colon", host ":", 400 },
  { "empty brackets as Host", host "[]", 400 },
  { "empty brackets and a port as Host", host "[]:80", 400 },
  { "a URL whose host is only a port", target "http://:80/", 400 },
  { "two Hosts", host "a\r\nHost: a", 400 },
  { "two different Hosts", host "a\r\nHost: b", 400 },
  { "two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
  { "a list of Hosts", host "a, b", 400 },
  { "a space in Host", host "a b", 400 },
  { "a tab in Host", host "a\tb", 400 },
  { "a path in Host", host "a/b", 400 },
  { "a query in Host", host "a?b", 400 },
  { "a fragment in Host", host "a#b", 400 },
  { "a user in Host", host "a@b", 400 },
  { "a URL in Host", host "http://a", 400 },
  { "a backslash in Host", host "a\\b", 400 },
  { "bytes beyond ASCII in Host", host "\195\164", 400 },
  { "markup in Host", host "<a>", 400 },
  { "a port that is none", host "a:b", 400 },
  { "a port too long", host "a:123456", 400 },
  { "two ports", host "a:80:80", 400 },
  { "an address without brackets", host "::1", 400 },
  { "half an address", host "[::1", 400 },
  { "something behind an address", host "[::1]a", 400 },
  -- header lines
  { "a space before the colon", header "A : b", 400 },
  { "a tab before the colon", header "A\t: b", 400 },
  { "a space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
  { "no name", header ": a", 400 },
  { "no colon", header "A", 400 },
  { "a space in a name", header "A b: c", 400 },
  { "a parenthesis in a name", header "A(: b", 400 },
  { "a quote in a name", header 'A": b', 400 },
  { "NUL in a name", header "A\0: b", 400 },
  { "a byte beyond ASCII in a name", header "A\195\164: b", 400 },
  { "NUL in a value", header "A: b\0c", 400 },
  { "a control character in a value", header "A: b\1c", 400 },
  { "DEL in a value", header "A: b\127c", 400 },
  { "a bare CR in a value", header "A: b\rC: d", 400 },
  { "a bare LF in a value", header "A: b\nC: d", 400 },
  { "a CR before CRLF", header "A: b\r", 400 },
  { "a folded value", header "A: b\r\n c", 400 },
  { "a value folded by a tab", header "A: b\r\n\tc", 400 },
  { "a folded empty value", header "A:\r\n b", 400 },
  { "a bare LF for the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400 },
  { "a CR for the last line", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 400 },
  { "a value too long", header("A: " .. ("b"):rep(16384)), 431 },
  { "a name too long", header(("a"):rep(16384) .. ": b"), 431 },
  { "values too long together", header(("A: " .. ("b"):rep(1000) .. "\r\n"):rep(17) .. "C: d"), 431 },
  { "too many lines", header(("A: b\r\n"):rep(100) .. "C: d"), 431 },
  { "two content types", header "Content-Type: a/b\r\nContent-Type: a/b", 400 },
  { "two content types, not side by side", header "Content-Type: text/plain\r\nA: b\r\ncontent-type: text/html", 400 },
  { "an expectation unknown", header "Expect: a", 417 },
  { "an expectation empty", header "Expect: ", 417 },
  { "a list of expectations", header "Expect: 100-continue, a", 417 },
  -- Content-Length
  { "an empty length", length "", 400 },
  { "a length with a sign", length "+1", 400 },
  { "a negative length", length "-1", 400 },
  { "a length in hex", length "0x1", 400 },
  { "hex digits as length", length "a", 400 },
  { "a list of lengths", length "1, 1", 400 },
  { "two numbers as length", length "1 1", 400 },
  { "a fraction as length", length "1.0", 400 },
  { "an exponent in a length", length "1e0", 400 },
  { "a parameter behind the length", length "1;a", 400 },
  { "a quoted length", length '"1"', 400 },
  { "a length beyond 64 bits", length "18446744073709551617", 400 },
  { "a length far beyond 64 bits", length(("9"):rep(100)), 400 },
  { "two lengths", length "1\r\nContent-Length: 1", 400 },
  { "two different lengths", length "1\r\nContent-Length: 2", 400 },
  { "length 0 twice", length "0\r\nContent-Length: 0", 400 },
  { "a length and a coding", length "1\r\nTransfer-Encoding: chunked", 400 },
  { "a coding and a length", coding "chunked\r\nContent-Length: 1", 400 },
  { "a coding and length 0", coding "chunked\r\nContent-Length: 0", 400 },
  -- Transfer-Encoding
  { "an empty coding", coding "", 400 },
  { "a blank coding", coding " \t ", 400 },
  { "another coding", coding "gzip", 501 },
  { "identity", coding "identity", 501 },
  { "a coding before chunked", coding "gzip, chunked", 501 },
  { "a coding before chunked, in two lines", coding "gzip\r\nTransfer-Encoding: chunked", 501 },
  { "a coding after chunked", coding "chunked, gzip", 400 },
  { "chunked twice", coding "chunked, chunked", 400 },
  { "chunked twice, in two lines", coding "chunked\r\nTransfer-Encoding: chunked", 400 },
  { "a comma after chunked", coding "chunked,", 400 },
  { "a comma before chunked", coding ", chunked", 501 },
  { "a parameter of chunked", coding "chunked;q=1", 501 },
  { "chunked in quotes", coding '"chunked"', 501 },
  { "almost chunked", coding "xchunked", 501 },
  { "chunked and more", coding "chunkedx", 501 },
  { "a vertical tab before chunked", coding "\vchunked", 400 },
  { "a space in chunked", coding "chun ked", 501 },
  { "a coding in HTTP/1.0", (coding("chunked"):gsub("HTTP/1.1", "HTTP/1.0")), 400 },
}

-- Bodies: the head is fine, so it is the handler that is told; it does not look, and the answer is its error's.
local bodies = {
  { "0x before the size", "0x1\r\nx\r\n0\r\n\r\n" },
  { "a sign", "+1\r\nx\r\n0\r\n\r\n" },
  { "a minus", "-1\r\nx\r\n0\r\n\r\n" },
  { "a space before the size", " 1\r\nx\r\n0\r\n\r\n" },
  { "a space behind the size", "1 \r\nx\r\n0\r\n\r\n" },
  { "an underscore", "1_0\r\nx\r\n0\r\n\r\n" },
  { "no size", "\r\nx\r\n0\r\n\r\n" },
  { "no hex digit", "g\r\nx\r\n0\r\n\r\n" },
  { "a size beyond 64 bits", "10000000000000001\r\nx\r\n0\r\n\r\n" },
  { "leading zeros without end", ("0"):rep(40000) .. "1\r\nx\r\n0\r\n\r\n" },
  { "a bare LF behind the size", "1\nx\r\n0\r\n\r\n" },
  { "a bare CR behind the size", "1\rx\r\n0\r\n\r\n" },
  { "a bare LF behind the bytes", "1\r\nx\n0\r\n\r\n" },
  { "nothing behind the bytes", "1\r\nx0\r\n\r\n" },
  { "more bytes than the size", "1\r\nxy\r\n0\r\n\r\n" },
  { "an extension without name", "1;\r\nx\r\n0\r\n\r\n" },
  { "a space before an extension", "1 ;a\r\nx\r\n0\r\n\r\n" },
  { "a bare LF in an extension", "1;a\nx\r\n0\r\n\r\n" },
  { "a bare CR in an extension", "1;a\rx\r\n0\r\n\r\n" },
  { "NUL in an extension", "1;a=\0\r\nx\r\n0\r\n\r\n" },
  { "CRLF in a quoted extension", '1;a="\r\n"\r\nx\r\n0\r\n\r\n' },
  { "an extension without end", "1;" .. ("a"):rep(40000) .. "\r\nx\r\n0\r\n\r\n" },
  { "a bare LF behind the last size", "1\r\nx\r\n0\n\r\n" },
  { "a bare LF for the last line", "1\r\nx\r\n0\r\n\n" },
  { "a bare CR for the last line", "1\r\nx\r\n0\r\n\rX" },
  { "a bare LF in the trailers", "1\r\nx\r\n0\r\nA: b\n\r\n" },
  { "a bare LF behind the trailers", "1\r\nx\r\n0\r\nA: b\r\n\n" },
  { "a folded trailer", "1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n" },
  { "a space before the colon of a trailer", "1\r\nx\r\n0\r\nA : b\r\n\r\n" },
  { "NUL in a trailer", "1\r\nx\r\n0\r\nA: \0\r\n\r\n" },
  { "a coding in the trailers", "1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" },
  { "trailers without end", "1\r\nx\r\n0\r\n" .. ("A: " .. ("b"):rep(100) .. "\r\n"):rep(400) .. "\r\n" },
}

local function handler(req) return req.method .. " " .. req.path .. " " .. req:body() end

local function refused(address, bytes, status)
  local client <close> = raw.connect(address)
  client:send(bytes)
  local answer = client:answer()
  assert.is_truthy(answer, "no answer")
  assert.equal(status, answer.status, answer.body)
  assert.equal("close", answer.headers.connection)
  assert.equal("application/json", answer.headers["content-type"])
  client:shutdown()
  assert.equal("", client:rest())
  return answer
end

local function trickle(client, bytes)
  for byte in bytes:gmatch "." do
    client:send(byte)
    task.sleep(0)
  end
end

local function still_serves(address)
  local answer = raw.ask(address, GOOD)
  assert.equal("GET / ", answer.body)
end

describe("a malformed head", function()
  for _, row in ipairs(heads) do
    local name, bytes, status = row[1], row[2], row[3]

    it(("with %s gets %d"):format(name, status), function()
      raw.serve(handler, {}, function(address)
        refused(address, bytes, status)
        still_serves(address)
        refused(address, bytes .. GOOD, status) -- nothing behind it is looked at
        still_serves(address)
      end)
    end)
  end

  it("is refused behind good ones, which are answered", function()
    raw.serve(handler, {}, function(address)
      for _, row in ipairs(heads) do
        local client <close> = raw.connect(address)
        client:send(GOOD, GOOD, row[2])
        assert.equal(200, client:answer().status)
        assert.equal(200, client:answer().status)
        local answer = client:answer()
        assert.equal(row[3], answer.status, row[1])
        client:send(("x"):rep(100)) -- what comes later goes nowhere
        client:shutdown()
        assert.equal("", client:rest())
      end
      still_serves(address)
    end)
  end)

  it("is refused with the same status when it comes byte by byte", function()
    raw.serve(handler, {}, function(address)
      for _, row in ipairs(heads) do
        if #row[2] < 200 then
          local client <close> = raw.connect(address)
          pcall(trickle, client, row[2]) -- the server may close before the last byte
          local answer = client:answer()
          assert.equal(row[3], answer and answer.status, row[1])
        end
      end
    end)
  end)
end)

describe("a malformed chunked body", function()
  for _, row in ipairs(bodies) do
    it("with " .. row[1] .. " gets 400", function()
      raw.serve(handler, {}, function(address)
        refused(address, chunks(row[2]), 400)
        still_serves(address)
      end)
    end)
  end

  it("ends the connection when nobody reads it", function()
    raw.serve(function() return "unread" end, {}, function(address)
      for _, row in ipairs(bodies) do
        local client <close> = raw.connect(address)
        client:send(chunks(row[2]), GOOD)
        client:shutdown()
        local answer = client:answer()
        assert.equal("unread", answer.body)
        assert.equal("", client:rest(), row[1])
      end
    end)
  end)
end)

describe("an odd head", function()
  local function answered(name, bytes, expected)
    it(name, function()
      raw.serve(function(req) return ("%s %s %s"):format(req.method, req.target, req:header "host") end, {}, function(address)
        local client <close> = raw.connect(address)
        client:send(bytes)
        assert.equal(expected, client:answer().body)
      end)
    end)
  end

  answered("may begin with empty lines", "\r\n\r\n" .. GOOD, "GET / a")
  answered("may be of HTTP/1.2", line "GET / HTTP/1.2", "GET / a")
  answered("may be of HTTP/1.9", line "GET / HTTP/1.9", "GET / a")
  for _, method in ipairs { "QUERY", "BREW", "get", "GE", "GETX", "DESCRIBE", "PRI", "M-SEARCH", "!#$%&'*+-.^_`|~0aZ", ("A"):rep(32) } do
    answered("may have any token for a method: " .. method, line(method .. " /a HTTP/1.1"), method .. " /a a")
  end
  answered("may have a backslash behind the query", target "/a?b\\c", "GET /a?b\\c a")
  answered("may have an asterisk for OPTIONS", line "OPTIONS * HTTP/1.1", "OPTIONS * a")
  answered("may have an address as Host", host "[::1]:80", "GET / [::1]:80")
  answered("may have a port without digits", host "a:", "GET / a:")
  answered("may have a URL, whose host counts", target "http://b:81/c?d", "GET /c?d b:81")
  answered("may have a URL without path", target "http://b", "GET / b")
  answered("may have a URL with only a query", target "HTTP://b?c", "GET /?c b")
  answered("may have a URL shorter than Host", "GET http://b/ HTTP/1.1\r\nHost: " .. ("a"):rep(100) .. "\r\n\r\n", "GET / b")
  answered("may have a URL and no Host in HTTP/1.0", "GET http://b/ HTTP/1.0\r\n\r\n", "GET / nil")

  -- The target is looked at once, piece by piece as it comes: where its path ends, and whether that has escapes or dot segments.
  it("may have a target in pieces, whatever is in it", function()
    local function tell(req) return ("%s %s %s"):format(req.path, req.raw_path, req.query_string) end
    raw.serve(tell, {}, function(address)
      for to, expected in pairs {
        ["/%61/.b?c%2F/../?\\"] = "/a/.b /%61/.b c%2F/../?\\", ["/?"] = "/ / ", ["/a.b"] = "/a.b /a.b ",
        ["http://b.c?d?e"] = "/ / d?e", ["http://b/%41?c"] = "/A /%41 c", ["http://b/a/./c"] = "/a/./c /a/./c ",
      } do
        local client <close> = raw.connect(address)
        client:send(target(to))
        assert.equal(expected, client:answer().body, to)
        for byte in target(to):gmatch "." do client:send(byte) end
        assert.equal(expected, client:answer().body, to)
      end
    end)
  end)

  answered("may have empty values", header "A:\r\nB: \r\nC: d", "GET / a")
  answered("may have dot segments within the root", target "/a/../b/./c", "GET /a/../b/./c a")
  answered("may have just as many lines as allowed", header(("A: b\r\n"):rep(98) .. "C: d"), "GET / a")
  answered("may have just as long a target as allowed", target("/" .. ("a"):rep(8191)), "GET /" .. ("a"):rep(8191) .. " a")
end)
