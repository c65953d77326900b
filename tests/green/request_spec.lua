-- SPDX-License-Identifier: MIT
local fault = require "green.error"
local fs = require "green.fs"
local outcome = require "outcome"
local task = require "green.task"
local test = require "green.test"
require "green.app" -- installs what requests can do

local function multipart(body, chunks)
  return test.request {
    method = "POST", body = chunks or body, headers = { ["content-type"] = "multipart/form-data; boundary=XyZ" },
  }
end

local function body_of(...)
  local out = {}
  for _, part in ipairs { ... } do out[#out + 1] = "--XyZ\r\n" .. part[1] .. "\r\n\r\n" .. part[2] .. "\r\n" end
  return table.concat(out) .. "--XyZ--\r\n"
end

local function field(name, value) return { 'Content-Disposition: form-data; name="' .. name .. '"', value } end

local function raises(status, f)
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert.is_true(fault.is(err), tostring(err))
  assert.equal(status, err.status)
  return err.message
end

local function raises_code(code, f) assert.equal(code, outcome.failure(f).code) end

local function names_in(path)
  local names = {}
  for i, entry in ipairs(fs.list(path)) do names[i] = entry.name end
  return names
end

local function in_pieces(text, size)
  local out = {}
  for i = 1, #text, size do out[#out + 1] = text:sub(i, i + size - 1) end
  return out
end

describe("request", function()
  describe("query", function()
    it("decodes names and values, first of each name", function()
      local req = test.request { path = "/?a=1&b=x+y%26&a=2&flag&%C3%A9=%2B&=v&eq=a=b" }
      assert.same({ a = "1", b = "x y&", flag = "", ["\u{e9}"] = "+", [""] = "v", eq = "a=b" }, req.query)
      assert.same({ "1", "2" }, req:query_all "a")
      assert.same({}, req:query_all "none")
      assert.equal(req.query, req.query)
    end)

    it("is empty without one", function()
      assert.same({}, test.request({ path = "/" }).query)
      assert.same({}, test.request({ path = "/?&&" }).query)
    end)

    it("refuses invalid escapes and too many fields", function()
      for _, query in ipairs { "%", "a=%g1", "a=%2", "%zz=1" } do
        raises(400, function() return test.request({ path = "/?" .. query }).query end)
      end
      assert.equal("1", test.request({ path = "/?" .. ("a=1&"):rep(1000) }).query.a)
      raises(413, function() return test.request({ path = "/?" .. ("a=1&"):rep(1001) }).query end)
    end)
  end)

  it("reads cookies: the first of a name, without quotes", function()
    local req = test.request { headers = { cookie = { "a=1; b=\"two\"", "a=3; c=x=y; d= ; e" } } }
    assert.same({ a = "1", b = "two", c = "x=y", d = "" }, req.cookies)
    assert.same({}, test.request({}).cookies)
  end)

  it("has a place for what handlers share, and params without a route", function()
    local req = test.request {}
    req.ctx.user = 1
    assert.equal(1, req.ctx.user)
    assert.same({}, req.params)
  end)

  describe("json", function()
    it("decodes the body whatever its type says", function()
      local req = test.request { method = "POST", body = '{"a":[1,2.5,"x"]}' }
      assert.same({ a = { 1, 2.5, "x" } }, req:json())
      assert.equal("integer", math.type(test.request({ body = "7" }):json()))
    end)

    it("answers 400 and says where it broke", function()
      assert.matches("invalid JSON.*5", raises(400, function() test.request({ body = '{"a"x}' }):json() end))
      assert.matches("empty", raises(400, function() test.request({}):json() end))
    end)
  end)

  describe("form", function()
    it("decodes urlencoded fields", function()
      local req = test.request {
        method = "POST", body = "a=1+2&b=%C3%A9&a=3", headers = { ["content-type"] = "application/x-www-form-urlencoded; charset=utf-8" },
      }
      local form, all = req:form()
      assert.same({ a = "1 2", b = "\u{e9}" }, form)
      assert.same({ { "a", "1 2" }, { "b", "\u{e9}" }, { "a", "3" } }, all)
      assert.same(form, (req:form()))
    end)

    it("takes multipart fields and files", function()
      local form = multipart(body_of(field("a", "1"), {
        'content-disposition: form-data; name="f"; filename="C:\\dir\\a b.txt"\r\nContent-Type: text/x', "line\r\n--Xy\r\n",
      })):form()
      assert.same({ a = "1", f = { filename = "a b.txt", type = "text/x", body = "line\r\n--Xy\r\n" } }, form)
    end)

    it("refuses other types, bad escapes and what is too large", function()
      raises(415, function() test.request({ body = "a=1" }):form() end)
      raises(400, function()
        test.request({ body = "a=%", headers = { ["content-type"] = "application/x-www-form-urlencoded" } }):form()
      end)
      raises(413, function()
        test.request({ body = ("a"):rep(11), headers = { ["content-type"] = "application/x-www-form-urlencoded" } }):form(10)
      end)
    end)

    it("bounds all multipart fields together", function()
      raises(413, function() multipart(body_of(field("a", ("x"):rep(600)), field("b", ("x"):rep(600)))):form(1000) end)
    end)
  end)

  describe("parts", function()
    it("come as they were sent, wherever the chunks are cut", function()
      local tricky = "\r\n--Xy\r\n--XyY\r\r\n-\r\n--"
      local text = "preamble\r\n" .. body_of(field("a", ""), field("b", tricky), field("c", ("z"):rep(300))) .. "epilogue"
      for size = 1, #text do
        local got = {}
        for part in multipart(nil, in_pieces(text, size)):parts() do got[#got + 1] = { part.name, part:body() } end
        assert.same({ { "a", "" }, { "b", tricky }, { "c", ("z"):rep(300) } }, got)
      end
    end)

    it("streams a part without holding it", function()
      local sizes, sent = {}, 0
      local head = "--XyZ\r\nContent-Disposition: form-data; name=big\r\n\r\n"
      local source = function()
        sent = sent + 1
        if sent == 1 then return head end
        if sent <= 101 then return ("x"):rep(1000) end
        if sent == 102 then return "\r\n--XyZ--" end
      end
      local total = 0
      for part in multipart(nil, source):parts() do
        assert.equal("big", part.name)
        for chunk in part:chunks() do
          sizes[#sizes + 1], total = #chunk, total + #chunk
        end
      end
      assert.equal(100000, total)
      assert.is_true(math.max(table.unpack(sizes)) <= 1100)
    end)

    it("skips what was not read, and a part that is over stays over", function()
      local text, first = body_of(field("a", ("x"):rep(5000)), field("b", "2")), nil
      for part in multipart(nil, in_pieces(text, 100)):parts() do
        if part.name == "a" then
          first = part
          part:chunks()()
        else
          assert.is_nil(first:chunks()())
          assert.equal("2", part:body())
          assert.equal("2", part:body())
        end
      end
    end)

    it("saves a part as a file that is there as a whole or not at all", function()
      local dir <close> = fs.temp_dir()
      local at = fs.join(dir.path, "it")
      local big = ("0123456789"):rep(30000)
      local function parts(source, size) return multipart(nil, in_pieces(source, size or 1000)):parts() end
      local saved = {}
      for part in parts(body_of(field("a", big), field("b", ""), field("c", "x"))) do
        saved[#saved + 1] = part:save(at .. part.name)
        raises_code("ECLOSED", function() part:save(at .. part.name) end)
      end
      assert.same({ #big, 0, 1 }, saved)
      assert.is_true(fs.read(at .. "a") == big)
      assert.same({ "", "x" }, { fs.read(at .. "b"), fs.read(at .. "c") })
      for part in parts(body_of(field("d", "text"))) do -- what was kept can be saved as well
        part:body()
        assert.equal(4, part:save(at .. "d"))
      end
      assert.equal("text", fs.read(at .. "d"))
      fs.write(at, "before")
      for part in parts(body_of(field("a", big))) do
        raises(413, function() part:save(at, 5000) end)
        break
      end
      raises(400, function()
        for part in parts("--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nnever ends") do part:save(at) end
      end)
      for part in parts(body_of(field("a", big))) do
        raises_code("ENOENT", function() part:save(fs.join(dir.path, "none", "it")) end)
        break
      end
      local first
      for part in parts(body_of(field("a", big), field("b", ""))) do
        first = first or part
        if part ~= first then raises_code("ECLOSED", function() first:save(at) end) end
      end
      assert.equal("before", fs.read(at))
      assert.same({ "it", "ita", "itb", "itc", "itd" }, names_in(dir.path)) -- no part of a file is left
    end)

    it("saves nothing when its task ends while the client sends", function()
      local dir <close> = fs.temp_dir()
      local never = task.channel()
      local sent = false
      local function source()
        if sent then never:receive() end
        sent = true
        return "--XyZ\r\nContent-Disposition: form-data; name=big\r\n\r\n" .. ("x"):rep(1000)
      end
      local saving = task.spawn(function()
        for part in multipart(nil, source):parts() do part:save(fs.join(dir.path, "it")) end
      end)
      outcome.eventually(function() return #names_in(dir.path) == 1 end)
      saving:cancel()
      saving:wait()
      assert.same({}, names_in(dir.path))
    end)

    it("limits one part's body, its headers and the number of parts", function()
      raises(413, function()
        for part in multipart(body_of(field("a", ("x"):rep(11)))):parts() do part:body(10) end
      end)
      raises(413, function()
        for _ in multipart("--XyZ\r\nx: " .. ("y"):rep(20000)):parts() do end
      end)
      local many = {}
      for i = 1, 101 do many[i] = field("a", "") end
      raises(413, function() for _ in multipart(body_of(table.unpack(many))):parts() do end end)
    end)

    it("understands the ways names are written", function()
      local function names(disposition)
        local part = multipart(body_of { "Content-Disposition: form-data; " .. disposition, "" }):parts()()
        return part.name, part.filename
      end
      assert.same({ 'a"b', "x.txt" }, { names 'name="a\\"b"; filename="x.txt"' })
      assert.same({ 'a"b', 'q".txt' }, { names 'name="a%22b"; filename="q%22.txt"' })
      assert.same({ "n", "passwd" }, { names 'filename="../../etc/passwd"; name="n"' })
      assert.same({ "real", "x; name=evil" }, { names 'filename="x; name=evil"; name="real"' })
      assert.same({ "n", "\u{e9} x" }, { names "name=n; filename*=UTF-8''%C3%A9%20x" })
      assert.same({ "n", "" }, { names 'name="n"; filename=""' })
    end)

    it("answers 400 to what is malformed", function()
      for _, text in ipairs {
        "", "garbage", "--XyZ", "--XyZ\r\n", "--XyZ\r\n\r\nx\r\n--XyZ--", "--XyZgarbage\r\n", "--XyZ\r\nno colon\r\n\r\n\r\n--XyZ--",
        "--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--", "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nnever ends",
        "--XyZ" .. (" "):rep(1000),
      } do
        raises(400, function() for part in multipart(text):parts() do part:body() end end)
      end
      for _, kind in ipairs { "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" .. ("x"):rep(71) } do
        raises(400, function() test.request({ headers = { ["content-type"] = kind } }):parts() end)
      end
      raises(415, function() test.request({ headers = { ["content-type"] = "text/plain" } }):parts() end)
    end)
  end)
end)
