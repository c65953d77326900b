-- SPDX-License-Identifier: MIT
-- What the server reads out of header fields, by the grammar (host/h1/fields.h); and that no bytes make it raise, or
-- take longer than their number.
local fields = require "green.http.fields.native"
local growth = require "growth"

local function parameters(value, form) return { fields.parameters(value, form) } end

describe("fields.parameters", function()
  it("reads a word and its parameters", function()
    assert.same({ "text/html", {} }, parameters "Text/HTML")
    assert.same({ "text/html", { charset = "UTF-8" } }, parameters " text/html ;; Charset=UTF-8 ; ")
    assert.same({ "a/b", { x = "1;y=2", z = 'q"\\' } }, parameters [[a/b;x="1;y=2"; z="q\"\\"]])
    assert.same({ "a/b", { x = "yz", boundary = "----=_Part/1:2" } }, parameters [[a/b; x="\y\z"; boundary=----=_Part/1:2]])
    assert.same({ "a/b", { x = "" } }, parameters 'a/b;x=""')
  end)

  it("says nothing about what is malformed", function()
    for _, value in ipairs { "", ";x=1", "/", "a/", '"a"', "\0" } do assert.is_nil(fields.parameters(value), value) end
    for _, value in ipairs {
      "a/b c", "a/b/c", "a/b;x", "a/b;x=", "a/b;=1", "a/b; x =1", "a/b; x= 1", 'a/b;x="', 'a/b;x="\\"', 'a/b;x="1"2', "a/b;x=1 2", "a/b;x=1;X=2", "a/b,c/d",'a/b;x=1"2"',
      'a/b;x="\n"', 'a/b;x="\0"', "a/b;x=\1",
    } do assert.same({ "a/b" }, parameters(value), value) end
  end)

  it("takes a backslash in a form as what makes sense of the whole", function()
    local function form(text) return select(2, fields.parameters("form-data;" .. text, true)) end
    assert.same({ name = 'a"b' }, form [[name="a\"b"]])
    assert.same({ name = "a", filename = "C:\\dir\\x.txt" }, form [[name=a; filename="C:\dir\x.txt"]])
    assert.same({ name = "a", filename = "x\\" }, form [[filename="x\"; name="a"]])
    assert.same({ name = "a", filename = "x\\" }, form [[name="a"; filename="x\"]])
    assert.same({ name = "a", filename = 'x"; name="evil' }, form [[name="a"; filename="x\"; name=\"evil"]])
    assert.is_nil(form [[name="a\"]] and nil)
    assert.is_nil(form [[name="a]])
  end)
end)

describe("fields.quality", function()
  it("finds the weight of what is named most exactly", function()
    local accept = "text/*;q=0.3, text/html;level=1;q=0.7, */*;q=0.1, image/png"
    assert.same({ 0.7, 0.3, 1.0, 0.1 },
      { fields.quality(accept, "text/html"), fields.quality(accept, "text/css"), fields.quality(accept, "image/png"), fields.quality(accept, "a/b") })
    assert.is_nil(fields.quality("text/html", "text/css"))
    assert.equal(1, fields.quality('text/html;x=",text/css;q=0"', "text/html"))
    assert.is_nil(fields.quality('text/html;x=",text/css;q=0"', "text/css"))
    assert.equal(0, fields.quality("a, GZIP;Q=0", "gzip"))
  end)
end)

describe("fields.cookies", function()
  it("takes the first of each name, and passes over what is no cookie", function()
    assert.same({ a = "1", b = "x y", c = "", d = "=", e = 'q"' }, fields.cookies [[a=1; b="x y";c=; d==; a=2; nothing; =x; f g=1; e=q"; ;]])
    assert.same({ a = '"' }, fields.cookies 'a="')
    assert.same({ a = "" }, fields.cookies ' a = "" ')
  end)
end)

-- Bytes that mean something, in any order.
local WORDS = {
  '"', "\\", ";", ",", "=", "&", "%", "+", "%41", "%zz", " ", "\t", "\r\n", "\0", "\255", "a", "name", "filename*", "UTF-8''", "q", "0.5", "1.1.1", "bytes", "-", "0",
  "99999999999999999999", "W/", "*", "/", "text/html", "gzip", "Sun", ", ", "06", "Nov", "1994", "08:49:37", " GMT", ":", "form-data",
}

describe("fields", function()
  local seed = math.tointeger(tonumber(os.getenv "FUZZ_SEED" or 9))
  local cases = math.tointeger(tonumber(os.getenv "FUZZ_CASES" or 20000))

  it("raises over no bytes (seed " .. seed .. ")", function()
    local random = seed
    local function next_random(n)
      random = (random * 6364136223846793005 + 1442695040888963407)
      return (random >> 33) % n + 1
    end
    for _ = 1, cases do
      local words = {}
      for i = 1, next_random(12) do words[i] = WORDS[next_random(#WORDS)] end
      local text = table.concat(words)
      local word, list = fields.parameters(text, next_random(2) == 1)
      assert.is_true(word == nil and list == nil or type(word) == "string" and (list == nil or type(list) == "table"))
      local quality = fields.quality(text, "gzip")
      assert.is_true(quality == nil or quality >= 0 and quality <= 1)
      local date = fields.date(text)
      assert.is_true(date == nil or math.type(date) == "integer")
      local ranges = fields.ranges(text, 10)
      for i = 1, ranges and #ranges or 0, 2 do assert.is_true(0 <= ranges[i] and ranges[i] <= ranges[i + 1] and ranges[i + 1] < 10) end
      assert.equal("table", type(fields.cookies(text)))
      assert.is_true(#(fields.form(text, 5) or {}) <= 5)
      fields.lines(text)
      fields.has_tag(text, '"a"')
    end
  end)

  for _, word in ipairs { '"', "\\", ";", ",", "=", "&", "%41", " ", "\t", "a", "0", 'W/"a"', "/", "*", "x: y\r\n", "a=b;" } do
    it(("takes time in proportion to many of %q"):format(word), function()
      local front = { "", "a/b;x=\"", "a/b;x=", "bytes=", "x=a", "x: ", "gzip;q=", '"', "W/\"" }
      growth.is_linear(function(text)
        for _, start in ipairs(front) do
          local all = start .. text .. "y"
          fields.parameters(all, true)
          fields.quality(all, "gzip")
          fields.has_tag(all, '"a"')
          fields.ranges(all, 10)
          fields.date(all)
          fields.cookies(all)
          fields.form(all, 1 << 30)
          fields.lines(all .. "\r\n")
        end
      end, function(n) return word:rep(n // #word) end)
    end)
  end
end)
