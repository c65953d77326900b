-- SPDX-License-Identifier: MIT
local json = require "green.json"
local outcome = require "outcome"

local failure = outcome.failure

describe("green.json", function()
  it("keeps integers integers", function()
    for _, number in ipairs { 0, 1, -1, 2 ^ 31 | 0, 99999999999999, 100000000000000, 1 << 53, (1 << 53) + 1, math.maxinteger, math.mininteger } do
      local text = json.encode { number }
      assert.are.equal(("[%d]"):format(number), text)
      local back = json.decode(text)[1]
      assert.are.equal("integer", math.type(back))
      assert.are.equal(number, back)
    end
    assert.are.equal(math.maxinteger, json.decode(tostring(math.maxinteger)))
  end)

  it("keeps fractions to the last bit", function()
    for _, number in ipairs { 0.1, 0.1 + 0.2, 1 / 3, 1700000000.123456, 1e300, 5e-324, -2.5 } do
      local back = json.decode(json.encode { number })[1]
      assert.are.equal(number, back)
    end
    assert.are.equal("[0.1]", json.encode { 0.1 })
    assert.are.equal("[1700000000.123456]", json.encode { 1700000000.123456 })
  end)

  it("leaves digits within strings alone", function()
    local text = '{"a\\"12345678901234567":"-12345678901234567","n":[-12345678901234567,{"m":12345678901234567}]}'
    local value = json.decode(text)
    assert.are.equal("-12345678901234567", value['a"12345678901234567'])
    assert.are.equal(-12345678901234567, value.n[1])
    assert.are.equal(12345678901234567, value.n[2].m)
  end)

  it("makes floats of integers Lua cannot hold", function()
    assert.are.equal(12345678901234567890.0, json.decode("[12345678901234567890]")[1])
  end)

  it("tells null, empty arrays and empty objects apart when writing", function()
    assert.are.equal('{"a":null}', json.encode { a = json.null })
    assert.are.equal(json.null, json.decode('{"a":null}').a)
    assert.are.equal("[]", json.encode(json.array()))
    assert.are.equal('{"a":[]}', json.encode { a = json.array {} })
    assert.are.equal("{}", json.encode {})
    assert.are.equal("[1,2]", json.encode(json.array { 1, 2 }))
  end)

  it("does not change the value it writes", function()
    local value = { id = math.maxinteger, list = json.array(), inner = { x = 0.1 + 0.2 } }
    json.encode(value)
    assert.are.equal(math.maxinteger, value.id)
    assert.are.same({}, value.list)
    assert.are.equal(0.1 + 0.2, value.inner.x)
  end)

  it("names the position of an error", function()
    local e = failure(json.decode, '{"a": tru}')
    assert.are.equal("EJSON", e.code)
    assert.are.equal("json.decode", e.op)
    assert.are.equal(7, e.position)
    assert.matches("character 7", tostring(e))
  end)

  it("refuses what is no JSON", function()
    for _, text in ipairs { "", "[1", "[1,]", "{a:1}", "1 2", "nan", "[Infinity]", "[0x10]", "'a'", '"\\ud800"', ("["):rep(2000) } do
      assert.are.equal("EJSON", failure(json.decode, text).code, text)
    end
  end)

  it("refuses what JSON cannot say", function()
    local cycle = {}
    cycle[1], cycle[2] = cycle, cycle
    for _, value in ipairs { cycle, { print }, { 0 / 0 }, { math.huge }, { [1] = 1, [1000] = 2 } } do
      assert.are.equal("EJSON", failure(json.encode, value).code)
    end
    assert.matches("json_spec.lua:%d+: json.decode: a string expected, got nil", failure(function() json.decode(nil) end))
  end)
end)
