-- SPDX-License-Identifier: MIT
-- What reads bytes from outside, with the worst of them (tests/regress/quadratic_patterns_spec.lua has more).
local live = require "green.dev.live"
local new_app = require("green.app").new
local page = require "green.dev.page"
local capture = require "green.dev.capture"
local response = require "green.response"
local test = require "green.test"
local url = require "green.url"

local function reads(name, start, make, read)
  return {
    name = name,
    start = start,
    prepare = function(n)
      local value = make(n)
      return function() read(value) end
    end,
  }
end

local function request(headers, body) return test.request { method = "POST", path = "/", headers = headers, body = body } end

local function of(piece, front, back) return function(n) return (front or "") .. piece:rep(n) .. (back or "") end end

local function cookies(text) return request({ cookie = text }).cookies end

local function parts(text)
  local next_part = request({ ["content-type"] = "multipart/form-data; boundary=XyZ" }, text):parts()
  return pcall(next_part)
end

return {
  reads("cookies: blanks in a value", 400000, of(" ", "x=a", "y"), cookies),
  reads("cookies", 5000, of "a=b; ", cookies),
  reads("form: a long field", 40000, of "%41+", function(text) pcall(function() return request({ ["content-type"] = "application/x-www-form-urlencoded" }, text):form(1 << 30) end) end),
  reads("multipart: bytes that may begin a boundary", 20000, of("\r\n--Xy", "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n"), parts),
  reads("url.parse: dots in the path", 50000, of("/..", "http://h"), url.parse),
  reads("error page: a body of names", 5000, of "token ", function(text) page.answer(capture.report(text), request({}, text)) end),
  reads("page that reloads", 20000, of "</body", function(text) live.inject(response.html(text), test.request { path = "/" }, "1") end),
  reads("path: segments", 5000, of "/a", function(text) new_app():get("/x/*rest", print):inject(text) end),
}
