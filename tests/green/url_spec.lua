-- SPDX-License-Identifier: MIT
local url = require "green.url"

local function code_of(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  return e.code
end

describe("green.url", function()
  it("takes a URL apart", function()
    assert.are.same({
      scheme = "https", user = "a b", password = "p:w", host = "example.com", port = 8443, path = "/x/y", query = "q=1&r", fragment = "top",
    }, url.parse "HTTPS://a%20b:p%3Aw@Example.COM:8443/x/y?q=1&r#top")
    assert.are.same({ path = "/only/path", query = "" }, url.parse "/only/path?")
    assert.are.same({ scheme = "http", host = "[::1]", port = 80, path = "" }, url.parse "http://[::1]:80")
    assert.are.same({ scheme = "mailto", path = "a@b.c" }, url.parse "mailto:a@b.c")
    assert.are.same({ host = "h", path = "/p" }, url.parse "//h/p")
    assert.are.same({ scheme = "http", host = "h", path = "", query = "a/b?c" }, url.parse "http://h?a/b?c")
  end)

  it("knows ports as integers", function()
    assert.are.equal("integer", math.type(url.parse("http://h:8080/").port))
    assert.is_nil(url.parse("http://h:/").port)
  end)

  it("refuses what is no URL", function()
    for _, text in ipairs { "http://a b/", "http://a\r\n/", "http://h:99999/", "http://h:x/", "http://[::1", "http://a:b:c/", "http://h\0" } do
      assert.are.equal("EINVAL", code_of(url.parse, text), text)
    end
  end)

  it("puts together what it took apart", function()
    for _, text in ipairs {
      "https://a%20b:p%3Aw@example.com:8443/x/y?q=1&r#top", "http://[::1]:80", "/p?q", "mailto:a@b.c", "//h/p", "http://h/#f",
    } do
      assert.are.equal(text, url.build(url.parse(text)))
    end
    assert.are.equal("http://h/p?a=1", url.build { scheme = "http", host = "h", path = "p", query = { a = 1 } })
  end)

  it("resolves references (RFC 3986, 5.4)", function()
    local base = "http://a/b/c/d;p?q"
    for reference, expected in pairs {
      ["g:h"] = "g:h", g = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g", ["//g"] = "http://g",
      ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y", ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", ["g?y#s"] = "http://a/b/c/g?y#s",
      [";x"] = "http://a/b/c/;x", ["g;x"] = "http://a/b/c/g;x", [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/", [".."] = "http://a/b/",
      ["../"] = "http://a/b/", ["../g"] = "http://a/b/g", ["../.."] = "http://a/", ["../../"] = "http://a/", ["../../g"] = "http://a/g", ["../../../g"] = "http://a/g",
      ["../../../../g"] = "http://a/g", ["/./g"] = "http://a/g", ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", [".g"] = "http://a/b/c/.g", ["g.."] = "http://a/b/c/g..",
      ["..g"] = "http://a/b/c/..g", ["./../g"] = "http://a/b/g", ["./g/."] = "http://a/b/c/g/", ["g/./h"] = "http://a/b/c/g/h", ["g/../h"] = "http://a/b/c/h",
      ["g;x=1/../y"] = "http://a/b/c/y", ["g?y/../x"] = "http://a/b/c/g?y/../x", ["g#s/../x"] = "http://a/b/c/g#s/../x", ["//g//h/../i"] = "http://g//i",
    } do assert.are.equal(expected, url.resolve(base, reference), reference) end
    assert.are.equal("http://u:p@a:1/x", url.resolve("http://u:p@a:1", "x"))
    assert.are.equal("http://a/?x", url.resolve("http://a/", "?x"))
    assert.are.equal("EINVAL", code_of(url.resolve, "/a", "b"))
    assert.are.equal("EINVAL", code_of(url.resolve, "http://a/", "http://a b/"))
  end)

  it("writes hosts as they are looked up", function()
    assert.are.equal("http://xn--bcher-kva.example/x", url.build { scheme = "http", host = "Bücher.example", path = "/x" })
    assert.are.equal("http://xn--bcher-kva.example/x", url.build(url.parse "http://bücher.EXAMPLE/x"))
    assert.are.equal("bücher", url.parse("postgres://bücher/db").host)
  end)

  it("encodes all but unreserved characters, and back", function()
    assert.are.equal("a-b_c.d~e%20%2F%3F%26%C3%BC%00", url.encode "a-b_c.d~e /?&ü\0")
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all)
    assert.are.equal(all, url.decode(url.encode(all)))
    assert.are.equal("100% %zz", url.decode "100% %zz")
    assert.are.equal("a+b", url.decode "a+b")
  end)

  it("encodes queries in a fixed order", function()
    assert.are.equal("a=1&b=x%20y&c=1&c=2&d=true&e=1.5", url.encode_query { e = 1.5, d = true, c = { 1, 2 }, b = "x y", a = 1.0 })
    assert.are.equal("z=1&a=2&z=3", url.encode_query { { "z", 1 }, { "a", 2 }, { "z", 3 } })
    assert.are.equal("", url.encode_query {})
  end)

  it("refuses queries of other things, by name", function()
    local ok, message = pcall(url.encode_query, { fn = print })
    assert.is_false(ok)
    assert.matches("'fn'.*got function", message)
    assert.has_error(function() url.encode_query { [{}] = 1 } end)
  end)

  it("decodes queries: the first of a name, and all in order", function()
    local first, all = url.decode_query "a=1&b=x+y%21&a=2&flag&=v&&c=a=b"
    assert.are.same({ a = "1", b = "x y!", flag = "", [""] = "v", c = "a=b" }, first)
    assert.are.same({ { "a", "1" }, { "b", "x y!" }, { "a", "2" }, { "flag", "" }, { "", "v" }, { "c", "a=b" } }, all)
  end)
end)
