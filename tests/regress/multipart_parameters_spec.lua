-- SPDX-License-Identifier: MIT
-- The parameters of a form's parts were searched with patterns, inside quoted strings too: `filename="x; name="; name="a"` was
-- called `; name=`, `name="x; filename=evil"` made a file of a field, and a file that is called `x\` became a field.
local fault = require "green.error"
local test = require "green.test"
require "green.app"

local function part(disposition)
  local req = test.request {
    method = "POST", headers = { ["content-type"] = 'multipart/form-data; charset="a; boundary=b"; Boundary="XyZ"' },
    body = "--XyZ\r\nContent-Disposition: form-data; " .. disposition .. "\r\n\r\nbody\r\n--XyZ--\r\n",
  }
  local found = req:parts()()
  assert.equal("body", found:body())
  return { found.name, found.filename }
end

local function refused(disposition)
  local ok, err = pcall(part, disposition)
  assert.is_false(ok, disposition)
  assert.same({ true, 400 }, { fault.is(err), err.status })
end

describe("the parameters of a part", function()
  it("are not looked for inside of others", function()
    assert.same({ "a", "x; name=" }, part [[filename="x; name="; name="a"]])
    assert.same({ "x; filename=evil" }, part [[name="x; filename=evil"]])
    assert.same({ "a" }, part [[name="a"; xfilename="evil"]])
    assert.same({ "a" }, part [[ name=a ;; x="filename=evil"; ]])
  end)

  it("may end in a backslash", function()
    assert.same({ "a", "x" }, part [[name="a"; filename="x\"]])
    assert.same({ "a", "x" }, part [[filename="x\"; name="a"]])
    assert.same({ "a\\" }, part [[name="a\"]])
  end)

  it("are each there once, and well-formed", function()
    for _, text in ipairs {
      [[name="a"; name="b"]], [[name="a"; NAME="b"]], [[name="a"; filename="x"; filename="y"]], [[name="a" filename="x"]], [[name="a"x]], [[name]], [[name=]],
      [[name="a]], [[name = "a"]], "name=\"a\0b\"", "name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"", "name=\"a\"\r\n folded: x", "name=\"a\"\r\nX : y",
    } do refused(text) end
  end)

  it("say a name of one file, of no folder", function()
    for written, name in pairs {
      ["."] = "", [".."] = "", ["/"] = "", ["a/.."] = "", ["..\\"] = "", ["../"] = "", ["../../etc/passwd"] = "passwd", ["C:\\dir\\a.txt"] = "a.txt", ["a/b/"] = "b",
      ["..."] = "...", [".env"] = ".env", [""] = "", ["%2e%2e"] = "%2e%2e",
    } do assert.same({ "n", name }, part(('name=n; filename="%s"'):format(written)), written) end
    for written, name in pairs {
      ["UTF-8''..%2F..%2Fetc%2Fpasswd"] = "passwd", ["utf-8'en'%2e%2e"] = "", ["UTF-8''a%00b"] = "ab", ["UTF-8''a%5C"] = "a", ["iso-8859-1''%E9"] = "\u{e9}",
      ["koi8''x"] = "", ["x"] = "",
    } do assert.same({ "n", name }, part("name=n; filename*=" .. written), written) end
    assert.same({ "n", "plain" }, part "name=n; filename*=koi8''x; filename=plain")
    refused "name=n; filename*=UTF-8''%zz"
  end)
end)
