-- SPDX-License-Identifier: MIT
-- Raw answers of a server, well-formed and not, each with a name: group/what. The server sends the bytes and then says no more.
local encoders = require "coding.encoders"

local list = {}

local function add(name, bytes, method) list[#list + 1] = { name = name, bytes = bytes, method = method or "GET" } end

local OK = "HTTP/1.1 200 OK\r\n"
local FIVE = "Content-Length: 5\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"

-- ---- the status line ----

for name, line in pairs {
  plain = "HTTP/1.1 200 OK", ["1.0"] = "HTTP/1.0 200 OK", ["1.2"] = "HTTP/1.2 200 OK", ["1.9"] = "HTTP/1.9 200 OK", ["2.0"] = "HTTP/2.0 200 OK", ["0.9"] = "HTTP/0.9 200 OK",
  ["3.0"] = "HTTP/3.0 200 OK", ["no minor"] = "HTTP/1 200 OK", ["two digits"] = "HTTP/1.10 200 OK", ["zero first"] = "HTTP/01.1 200 OK", ["no reason"] = "HTTP/1.1 200 ",
  ["no space"] = "HTTP/1.1 200", ["two spaces"] = "HTTP/1.1  200 OK", tab = "HTTP/1.1\t200 OK", ["space first"] = " HTTP/1.1 200 OK", ["lower case"] = "http/1.1 200 OK",
  ["another name"] = "HTTQ/1.1 200 OK", ["half a name"] = "TTP/1.1 200 OK", icy = "ICY 200 OK", ["status 99"] = "HTTP/1.1 99 X", ["status 099"] = "HTTP/1.1 099 X", ["status 000"] = "HTTP/1.1 000 X",
  ["status 600"] = "HTTP/1.1 600 X", ["status 999"] = "HTTP/1.1 999 X", ["status 1000"] = "HTTP/1.1 1000 X", ["status 20"] = "HTTP/1.1 20 X", ["status 2000"] = "HTTP/1.1 2000 X",
  ["status 20x"] = "HTTP/1.1 20x X", ["status +200"] = "HTTP/1.1 +200 X", ["status -200"] = "HTTP/1.1 -200 X", ["status 2e2"] = "HTTP/1.1 2e2 X", ["status 200OK"] = "HTTP/1.1 200OK",
  ["no status"] = "HTTP/1.1 OK", ["nothing else"] = "HTTP/1.1", ["utf-8 reason"] = "HTTP/1.1 200 \u{fc}ber", ["latin-1 reason"] = "HTTP/1.1 200 \xfcber", ["tab in the reason"] = "HTTP/1.1 200 a\tb",
  ["NUL in the reason"] = "HTTP/1.1 200 a\0b", ["control in the reason"] = "HTTP/1.1 200 a\1b", ["CR in the reason"] = "HTTP/1.1 200 a\rb", ["reason of 4000"] = "HTTP/1.1 200 " .. ("r"):rep(4000),
  ["reason of 70000"] = "HTTP/1.1 200 " .. ("r"):rep(70000), ["a request"] = "GET / HTTP/1.1",
} do add("status line/" .. name, line .. "\r\n" .. FIVE .. "\r\nhello") end
add("status line/ends in LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello")
add("status line/ends in CR", "HTTP/1.1 200 OK\rContent-Length: 5\r\rhello")
add("status line/CRLF first", "\r\n" .. OK .. FIVE .. "\r\nhello")
add("status line/ends in CRCRLF", "HTTP/1.1 200 OK\r\r\n" .. FIVE .. "\r\nhello")
add("status line/alone", "HTTP/1.1 200 OK\r\n")
add("status line/nothing", "")
add("status line/HTML", "<html>hello</html>\r\n\r\n")
add("status line/TLS alert", "\x15\x03\x01\x00\x02\x02\x28")
add("status line/HTTP-2 settings", "\0\0\0\4\0\0\0\0\0")

-- ---- header lines: X is looked at ----

for name, line in pairs {
  plain = "X: a", ["no space"] = "X:a", ["spaces around"] = "X:   a  ", ["tabs around"] = "X:\ta\t", ["space before the colon"] = "X : a", ["tab before the colon"] = "X\t: a", empty = "X:",
  ["only spaces"] = "X:    ", ["space in the name"] = "X Y: a", ["space first"] = " X: a", ["no name"] = ": a", ["no colon"] = "X", ["no colon, with spaces"] = "X a", ["empty line of blanks"] = "  ",
  ["folded"] = "X: a\r\n b", ["folded by a tab"] = "X: a\r\n\tb", ["folded twice"] = "X: a\r\n b\r\n c", ["folded to nothing"] = "X: a\r\n  ", ["LF ends it"] = "X: a\nY: b",
  ["CR in the value"] = "X: a\rb", ["CR ends it"] = "X: a\rY: b", ["NUL in the value"] = "X: a\0b", ["NUL in the name"] = "X\0: a", ["control in the value"] = "X: a\1b", ["DEL in the value"] = "X: a\127b",
  ["latin-1 value"] = "X: \xfc", ["utf-8 value"] = "X: \u{fc}", ["utf-8 name"] = "\u{fc}: a", ["parens in the name"] = "X(a): a", ["brackets in the name"] = "X[a]: a", ["quote in the name"] = "\"X\": a",
  ["at in the name"] = "X@: a", ["twice"] = "X: a\r\nX: b", ["twice in two cases"] = "X: a\r\nx: b", ["colons in the value"] = "X: a:b:c", ["all token characters"] = "!#$%&'*+-.^_`|~0aZ: a",
  ["name of 4000"] = ("n"):rep(4000) .. ": a", ["value of 4000"] = "X: " .. ("v"):rep(4000), ["value of 60000"] = "X: " .. ("v"):rep(60000), ["value of 70000"] = "X: " .. ("v"):rep(70000),
  ["value of 300000"] = "X: " .. ("v"):rep(300000), ["90 of them"] = ("Y: b\r\n"):rep(89) .. "X: a", ["200 of them"] = ("Y: b\r\n"):rep(199) .. "X: a",
  ["3000 of them"] = ("Y: b\r\n"):rep(2999) .. "X: a",
} do add("header/" .. name, OK .. line .. "\r\n" .. FIVE .. "\r\nhello") end
add("header/LF ends the head", OK .. FIVE .. "\nhello")
add("header/CRCRLF ends the head", OK .. FIVE .. "\r\r\nhello")
add("header/folded first", OK .. " X: a\r\n" .. FIVE .. "\r\nhello")

-- ---- lengths ----

for name, lines in pairs {
  exact = "Content-Length: 5", ["no value"] = "Content-Length:", ["zero"] = "Content-Length: 0", ["one less"] = "Content-Length: 4", ["one more"] = "Content-Length: 6", plus = "Content-Length: +5",
  minus = "Content-Length: -5", ["minus 0"] = "Content-Length: -0", fraction = "Content-Length: 5.0", hex = "Content-Length: 0x5", exponent = "Content-Length: 5e0", ["leading zeros"] = "Content-Length: 0005",
  spaces = "Content-Length:    5   ", ["space inside"] = "Content-Length: 5 5", letters = "Content-Length: five", ["letters behind"] = "Content-Length: 5x", ["letters before"] = "Content-Length: x5",
  ["semicolon"] = "Content-Length: 5;x", quoted = 'Content-Length: "5"', ["list of the same"] = "Content-Length: 5, 5", ["list of others"] = "Content-Length: 5, 6", ["list with a hole"] = "Content-Length: 5,",
  ["twice the same"] = "Content-Length: 5\r\nContent-Length: 5", ["twice others"] = "Content-Length: 5\r\nContent-Length: 6", ["twice others, longer first"] = "Content-Length: 6\r\nContent-Length: 5",
  ["twice, one bad"] = "Content-Length: 5\r\nContent-Length: x", ["2^31"] = "Content-Length: 2147483648", ["2^63"] = "Content-Length: 9223372036854775808", ["2^64"] = "Content-Length: 18446744073709551616",
  ["2^64 + 5"] = "Content-Length: 18446744073709551621", ["100 digits"] = "Content-Length: " .. ("9"):rep(100), ["100 zeros"] = "Content-Length: " .. ("0"):rep(100) .. "5", none = "Y: b",
  ["arabic digits"] = "Content-Length: \u{665}", ["NUL behind"] = "Content-Length: 5\0", ["tab before"] = "Content-Length:\t5", ["space before the colon"] = "Content-Length : 5", ["underscore"] = "Content_Length: 5",
  folded = "Content-Length:\r\n 5",
} do add("length/" .. name, OK .. lines .. "\r\n\r\nhello") end
add("length/5 and more bytes", OK .. FIVE .. "\r\nhello, and more")
add("length/5 and another answer", OK .. FIVE .. "\r\nhello" .. OK .. FIVE .. "\r\nworld")
add("length/5 and CRLF", OK .. FIVE .. "\r\nhello\r\n")
add("length/none, 1.0", "HTTP/1.0 200 OK\r\n\r\nhello")
add("length/none, keep-alive", OK .. "Connection: keep-alive\r\n\r\nhello")
add("length/cut, 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello")

-- ---- chunks ----

for name, value in pairs {
  plain = "chunked", ["upper case"] = "CHUNKED", ["spaces"] = "  chunked ", ["with a parameter"] = "chunked;a=b", twice = "chunked, chunked", ["after identity"] = "identity, chunked", ["before identity"] = "chunked, identity",
  ["another name"] = "xchunked", ["name behind"] = "chunkedx", identity = "identity", gzip = "gzip", ["empty"] = "", ["comma first"] = ", chunked", ["comma last"] = "chunked,", quoted = '"chunked"', ["tab"] = "\tchunked",
  ["vertical tab"] = "\11chunked", ["NUL behind"] = "chunked\0",
} do add("coding/" .. name, OK .. "Transfer-Encoding: " .. value .. "\r\n\r\n5\r\nhello\r\n0\r\n\r\n") end
add("coding/in two lines", OK .. "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/twice in two lines", OK .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/beside a length", OK .. "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/before a length", OK .. "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/beside a bad length", OK .. "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/space before the colon", OK .. "Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
add("coding/folded", OK .. "Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

for name, bytes in pairs {
  one = "5\r\nhello\r\n0\r\n\r\n", two = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", none = "0\r\n\r\n", ["upper hex"] = "A\r\nhellohello\r\n0\r\n\r\n", ["lower hex"] = "a\r\nhellohello\r\n0\r\n\r\n",
  ["leading zeros"] = "0005\r\nhello\r\n0\r\n\r\n", ["40 zeros"] = ("0"):rep(40) .. "5\r\nhello\r\n0\r\n\r\n", ["several last zeros"] = "5\r\nhello\r\n000\r\n\r\n", extension = "5;a=b\r\nhello\r\n0\r\n\r\n",
  ["extension without value"] = "5;a\r\nhello\r\n0\r\n\r\n", ["quoted extension"] = '5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n', ["extension with spaces"] = "5 ; a = b\r\nhello\r\n0\r\n\r\n", ["empty extension"] = "5;\r\nhello\r\n0\r\n\r\n",
  ["extension of 10000"] = "5;" .. ("a"):rep(10000) .. "\r\nhello\r\n0\r\n\r\n", ["extension of 70000"] = "5;" .. ("a"):rep(70000) .. "\r\nhello\r\n0\r\n\r\n", ["extension of the last"] = "5\r\nhello\r\n0;a=b\r\n\r\n",
  ["LF in an extension"] = "5;a\nb\r\nhello\r\n0\r\n\r\n", ["CR in an extension"] = "5;a\rb\r\nhello\r\n0\r\n\r\n", ["NUL in an extension"] = "5;a\0b\r\nhello\r\n0\r\n\r\n", ["unclosed quote"] = '5;a="b\r\nhello\r\n0\r\n\r\n',
  ["space behind the size"] = "5 \r\nhello\r\n0\r\n\r\n", ["spaces behind the size"] = "5   \r\nhello\r\n0\r\n\r\n", ["space before the size"] = " 5\r\nhello\r\n0\r\n\r\n", ["tab behind the size"] = "5\t\r\nhello\r\n0\r\n\r\n", ["0x"] = "0x5\r\nhello\r\n0\r\n\r\n",
  plus = "+5\r\nhello\r\n0\r\n\r\n", minus = "-5\r\nhello\r\n0\r\n\r\n", ["no size"] = "\r\nhello\r\n0\r\n\r\n", letters = "xyz\r\nhello\r\n0\r\n\r\n", ["letters behind"] = "5x\r\nhello\r\n0\r\n\r\n", ["underscore"] = "0_5\r\nhello\r\n0\r\n\r\n",
  ["2^32"] = "100000000\r\nhello\r\n0\r\n\r\n", ["2^63"] = "8000000000000000\r\nhello\r\n0\r\n\r\n", ["2^64"] = "10000000000000000\r\nhello\r\n0\r\n\r\n", ["2^64 + 5"] = "10000000000000005\r\nhello\r\n0\r\n\r\n", ["40 digits"] = ("f"):rep(40) .. "\r\nhello\r\n0\r\n\r\n",
  ["LF behind the size"] = "5\nhello\r\n0\r\n\r\n", ["LF behind the data"] = "5\r\nhello\n0\r\n\r\n", ["LF everywhere"] = "5\nhello\n0\n\n", ["CR behind the size"] = "5\rhello\r\n0\r\n\r\n", ["nothing behind the data"] = "5\r\nhello0\r\n\r\n",
  ["more data than size"] = "5\r\nhello!\r\n0\r\n\r\n", ["less data than size"] = "6\r\nhello\r\n0\r\n\r\n", ["CRLF before the size"] = "\r\n5\r\nhello\r\n0\r\n\r\n", ["two CRLF behind the data"] = "5\r\nhello\r\n\r\n0\r\n\r\n",
  trailer = "5\r\nhello\r\n0\r\nX: a\r\n\r\n", ["several trailers"] = "5\r\nhello\r\n0\r\nX: a\r\nY: b\r\n\r\n", ["forbidden trailer"] = "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n", ["bad trailer"] = "5\r\nhello\r\n0\r\nX a\r\n\r\n",
  ["folded trailer"] = "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n", ["trailer without name"] = "5\r\nhello\r\n0\r\n: a\r\n\r\n", ["NUL in a trailer"] = "5\r\nhello\r\n0\r\nX: a\0\r\n\r\n", ["trailer of 70000"] = "5\r\nhello\r\n0\r\nX: " .. ("v"):rep(70000) .. "\r\n\r\n",
  ["3000 trailers"] = "5\r\nhello\r\n0\r\n" .. ("X: a\r\n"):rep(3000) .. "\r\n", ["bytes behind the end"] = "5\r\nhello\r\n0\r\n\r\nand more", ["another answer behind"] = "5\r\nhello\r\n0\r\n\r\n" .. OK .. FIVE .. "\r\nworld",
  ["LF behind the last size"] = "5\r\nhello\r\n0\n\r\n", ["LF at the end"] = "5\r\nhello\r\n0\r\n\n",
} do add("chunk/" .. name, CHUNKED .. bytes) end

-- ---- answers before the answer, and answers without a body ----

local LAST = OK .. FIVE .. "\r\nhello"
for name, bytes in pairs {
  ["100"] = "HTTP/1.1 100 Continue\r\n\r\n", ["103"] = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", ["102"] = "HTTP/1.1 102 Processing\r\n\r\n", ["199"] = "HTTP/1.1 199 X\r\n\r\n", ["100 twice"] = ("HTTP/1.1 100 Continue\r\n\r\n"):rep(2),
  ["100 50 times"] = ("HTTP/1.1 100 Continue\r\n\r\n"):rep(50), ["100 5000 times"] = ("HTTP/1.1 100 Continue\r\n\r\n"):rep(5000), ["100 with a length"] = "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", ["100 with chunks"] = "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
  ["100 with X"] = "HTTP/1.1 100 Continue\r\nX: a\r\n\r\n", ["100, 1.0"] = "HTTP/1.0 100 Continue\r\n\r\n", ["101"] = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", ["101 without Upgrade"] = "HTTP/1.1 101 Switching Protocols\r\n\r\n",
} do add("before/" .. name, bytes .. LAST) end
add("before/100 alone", "HTTP/1.1 100 Continue\r\n\r\n")

for _, status in ipairs { 204, 205, 304 } do
  local line = ("HTTP/1.1 %d X\r\n"):format(status)
  add(("bare/%d"):format(status), line .. "\r\n")
  add(("bare/%d with a length"):format(status), line .. FIVE .. "\r\n")
  add(("bare/%d with a body"):format(status), line .. FIVE .. "\r\nhello")
  add(("bare/%d with length 0"):format(status), line .. "Content-Length: 0\r\n\r\n")
  add(("bare/%d with chunks"):format(status), line .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
  add(("bare/%d with bytes behind"):format(status), line .. "\r\nhello")
end
for name, bytes in pairs {
  plain = OK .. FIVE .. "\r\n", ["with a body"] = LAST, ["with chunks"] = CHUNKED, ["with chunks that come"] = CHUNKED .. "5\r\nhello\r\n0\r\n\r\n", ["without length"] = OK .. "\r\n", ["with a bad length"] = OK .. "Content-Length: x\r\n\r\n",
  ["with a huge length"] = OK .. "Content-Length: 99999999999\r\n\r\n",
} do add("HEAD/" .. name, bytes, "HEAD") end
for _, status in ipairs { 300, 301, 400, 404, 418, 500, 599 } do add(("status/%d"):format(status), ("HTTP/1.1 %d X\r\n"):format(status) .. FIVE .. "\r\nhello") end

-- ---- content codings ----

local TEXT = "hello, hello, hello, hello"

local function coded(name, encoding, body)
  add("content/" .. name, OK .. "Content-Encoding: " .. encoding .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
end

local gzip, zlib, br = encoders.gzip(TEXT), encoders.zlib(TEXT), encoders.br(TEXT)
coded("gzip", "gzip", gzip)
coded("x-gzip", "x-gzip", gzip)
coded("GZIP", "GZIP", gzip)
coded("gzip, cut", "gzip", gzip:sub(1, -9))
coded("gzip, its check cut", "gzip", gzip:sub(1, -2))
coded("gzip, its check wrong", "gzip", gzip:sub(1, -9) .. "\0\0\0\0" .. gzip:sub(-4))
coded("gzip and more", "gzip", gzip .. "more")
coded("gzip and zeros", "gzip", gzip .. ("\0"):rep(20))
coded("gzip of two members", "gzip", gzip .. gzip)
coded("gzip that is none", "gzip", TEXT)
coded("gzip of nothing", "gzip", "")
coded("deflate", "deflate", zlib)
coded("deflate, raw", "deflate", encoders.raw_deflate(TEXT))
coded("deflate, cut", "deflate", zlib:sub(1, -7))
coded("deflate and more", "deflate", zlib .. "more")
coded("br", "br", br)
coded("br, cut", "br", br:sub(1, -2))
coded("br and more", "br", br .. "more")
coded("unknown", "rot13", TEXT)
coded("identity", "identity", TEXT)
coded("two codings", "gzip, br", encoders.br(gzip))
coded("unknown inside", "rot13, gzip", gzip)
coded("unknown outside", "gzip, rot13", TEXT)
coded("empty", "", TEXT)
add("content/in two lines", OK .. "Content-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: " .. #encoders.br(gzip) .. "\r\n\r\n" .. encoders.br(gzip))
add("content/gzip in chunks", OK .. "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" .. ("%x\r\n"):format(#gzip) .. gzip .. "\r\n0\r\n\r\n")

-- ---- cut at each byte ----

local function cut(name, bytes)
  for n = 1, #bytes - 1 do add(("cut/%s/%03d"):format(name, n), bytes:sub(1, n)) end
end

cut("length", OK .. FIVE .. "\r\nhello")
cut("chunks", OK .. "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: a\r\n\r\n")

table.sort(list, function(a, b) return a.name < b.name end)
return list
