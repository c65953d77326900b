-- SPDX-License-Identifier: MIT
-- One small request held the server for seconds, in one call of C that no limit ends: a Cookie of 16,000 letters 7.3 s, a blank value
-- with 15,900 blanks 2.4 s, a part of a form with 16,000 blanks in a header 1.6 s, or with `filename="aaa.../"` 1.9 s. Whatever
-- reads bytes from outside gets 4 KB of the worst for it here, and 16 KB, which may take some four times as long.
-- (tests/patterns_spec.lua judges each pattern by itself; this is about what is made of them.)
local capture = require "green.dev.capture"
local editor = require "green.repl.editor"
local fs = require "green.fs"
local growth = require "growth"
local http = require "green.http"
local live = require "green.dev.live"
local new_app = require("green.app").new
local page = require "green.dev.page"
local response = require "green.response"
local template = require "green.template"
local test = require "green.test"
local tokens = require "green.repl.tokens"
local url = require "green.url"

local SIZE = 3900 -- four times that is still within the limits of heads

local function request(headers, body) return test.request { method = "POST", path = "/", headers = headers, body = body } end

local function multipart(head)
  local kind = { ["content-type"] = "multipart/form-data; boundary=XyZ" }
  return request(kind, "--XyZ\r\n" .. head .. "\r\n\r\nx\r\n--XyZ--\r\n")
end

local function cookies(text) return request({ cookie = text }).cookies end

local function part(text) return multipart("Content-Disposition: form-data; name=a; " .. text):parts()() end

local function query(text) return test.request({ path = "/?" .. text }).query end

local function form(text) return request({ ["content-type"] = "application/x-www-form-urlencoded" }, text):form() end

-- name -> { what reads it, the pieces of which many are bad, and what comes before and after them }
local READERS = {
  cookies = { cookies, { "a", " ", "=", ";", '"', "a=", "a;", "\t" }, "x=a", "y" },
  query = { query, { "a", "%41", "+", "=", "%" } },
  ["query of 900 fields"] = { function(text) query("a=" .. ("&b"):rep(900) .. text) end, { "x", "%41" } },
  form = { form, { "a", "+", "=", "%" } },
  ["decode_query"] = { url.decode_query, { "a", "&", "=", "%41", "+", "a=1&" } },
  ["a part's header"] = { function(text) return multipart("Content-Disposition: form-data; name=a\r\nX: " .. text):parts()() end, { " ", "a", "\t", ":", "\r\nX:" }, "", "y" },
  ["a part's lines"] = { function(text) return multipart(text .. "Content-Disposition: form-data; name=a"):parts()() end, { "X: y\r\n", "Xy: \r\n" } },
  ["a part's name"] = { part, { "a", "/", "\\", "%22", "%", ";", " ", "=", "'" }, 'filename="', '"' },
  ["a part's unclosed name"] = { part, { "a", "\\\"", "\\", "; b=", '; b="c"' }, 'filename="' },
  ["a part's extended name"] = { part, { "a", "'", "%41", "%", "/" }, "filename*=UTF-8''" },
  ["a part's parameters"] = { part, { " ", ";", "=", "a=b;", '"' } },
  ["content-type"] = { function(text) return request({ ["content-type"] = text }, "x"):parts() end, { " ", ";", "boundary=", '"', "a=b;", "\\" }, "multipart/form-data", "y" },
  ["a body of small parts"] = { function(text)
    local parts = request({ ["content-type"] = "multipart/form-data; boundary=a" }, text):parts()
    while parts() do end
  end, { "\r\n", "\r\n--", "-", "\r\n--a\r\n", "\r" } },
  escape = { template.escape, { "<", "a", "&" } },
  ["error page"] = { function(text) page.answer(capture.report(text), request({ accept = "text/html", cookie = text }, text)) end, { "a", " ", ":1: ", "a:", "\n", "<", "token=", "a-" } },
  ["error as text"] = { function(text) page.answer(capture.report(text), request({ ["content-type"] = text }, text)) end, { "a:1: ", " " } },
  ["page that reloads"] = { function(text) live.inject(response.html(text), test.request { path = "/" }, "1") end, { "<", "</body", " " } },
  ["policy of a page"] = { function(text) live.inject(response.html("x"):header("content-security-policy", text), test.request { path = "/" }, "1") end, { " ", ";", ",", "a" } },
  ["url.parse"] = { url.parse, { "a", ".", "@", ":", "/", "%", "[", "::", "?", "#", "1." }, "http://" },
  ["the client's URL"] = { function(text) return http.client { base_url = text } end, { "a", ".", "@", ":", "/" }, "http://" },
  ["url.resolve"] = { function(text) return url.resolve("http://a/b/", text) end, { "a", "/", "../", "./", "?", "#", ":", "%" } },
  ["a cookie of an answer"] = { function(text) return http.cookies():store("http://a.example/", text) end, { "a", " ", ";", "=", "a=;", "\t", "path=/;", "domain=a;" }, "x=1;" },
  ["a cookie's date"] = { require("green.http.set_cookie").date, { "1", " ", ":", "1:1:1", "Nov ", "a" } },
  ["a cookie's domain"] = { function(text) return http.cookies():store("http://a.example/", "x=1; domain=" .. text) end, { "a", ".", "a." }, "", ".example" },
  ["where an answer leads"] = { function(text)
    local request = { method = "GET", url = "http://a/", parts = url.parse "http://a/", headers = {} }
    return require("green.http.redirect").follow(request, 302, { text }, function() end)
  end, { "a", "/", " ", "..", "../", "?", "#", "\u{e9}", ":" }, "", "y" },
  ["no_proxy"] = { function(text)
    return require("green.http.proxy").select("http.get", nil, url.parse "http://a/", 80, function(name) return name == "no_proxy" and text or "p:1" end)
  end, { "a", ".", ",", " ", "1", "1.", ":", "/", "[", "*" } },
  codings = { function(text) return require("green.http.coding").decoders(text, function() end) end, { "a", ",", " ", "gzip," } },
  redirect = { response.redirect, { "a", "/", "%", "\u{e9}" } },
  download = { function(text) return response.file("x", { download = text }) end, { "a", "/", '"', "\u{e9}" } },
  ["a file's name"] = { function(text) return fs.basename(text), fs.dirname(text), fs.extension(text), fs.join(text, text), fs.absolute(text) end, { "a", "/", ".", "a.", "/." } },
  ["the editor's words"] = { function(text)
    local e = editor.new { "x" }
    e:set(text)
    return e:word_left(), e:word_right(), e:line_start(), e:line_end()
  end, { "a", " ", "\n", ".", "a " } },
  tokens = { tokens.list, { "a ", " ", "-", "[", "'", ".", "=" } },
}

local static = {
  ["accept-encoding"] = { "a", ",", ";", " ", "gzip;q=1.1.1,", '"', "*;q=" }, ["if-none-match"] = { "a", '"', '"a",', "W/", ",", " " }, ["if-match"] = { '"a" ,', "," },
  range = { "0", ",", "0-0,", " ", "-" }, ["if-range"] = { " ", "a" }, ["if-modified-since"] = { "S", "Sun, ", " " },
}

-- The bytes may be refused, but not by chance.
local function linear(read, piece, front, back)
  local function try(text)
    local ok, err = pcall(read, text)
    if not ok and type(err) == "string" and err:find("attempt to", 1, true) then error(err, 0) end
  end
  growth.is_linear(try, function(n) return (front or "") .. piece:rep(n // #piece) .. (back or "") end, SIZE)
end

describe("bytes from outside take time in proportion to their number:", function()
  for name, reader in pairs(READERS) do
    it(name, function()
      for _, piece in ipairs(reader[2]) do linear(reader[1], piece, reader[3], reader[4]) end
    end)
  end

  it("paths", function()
    local dir <close> = fs.temp_dir()
    local app = new_app():static("/static", dir.path):scripts("/run", dir.path):get("/:a/:b", tostring):get("/x/*rest", tostring)
    for _, front in ipairs { "/static/", "/run/", "/", "/x/" } do
      for _, piece in ipairs { "a", "/", "%2f", "../", "a/", ".", "%00" } do linear(function(text) return app:inject(text) end, piece, front) end
    end
  end)

  it("headers of a request for a file", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/a.txt", "text")
    local app = new_app():static("/", dir.path)
    for name, pieces in pairs(static) do
      for _, piece in ipairs(pieces) do
        linear(function(text) return app:inject { path = "/a.txt", headers = { [name] = text } } end, piece, name == "range" and "bytes=" or "", "y")
      end
    end
  end)
end)
