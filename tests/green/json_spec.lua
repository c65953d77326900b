-- SPDX-License-Identifier: MIT
-- The codec of host/json: what RFC 8259 allows and nothing else, every number to the last bit, errors in words with a
-- place, and room for others beside large documents.
local cjson = require "cjson"
local json = require "green.json"
local outcome = require "outcome"
local task = require "green.task"

local failure = outcome.failure

local function quoted(text) return ("%q"):format(#text > 60 and text:sub(1, 60) .. "..." or text) end

describe("json.decode", function()
  -- After the cases of JSONTestSuite: y_ must be taken, n_ must not, i_ is for us to decide.
  local taken = {
    "[]", "{}", " [ ] ", "\t\r\n{\t}\n", "null", "true", "false", '""', "0", "-1", "[null]", "[1]\n", '"\\u0000"', '"\u{7f}"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\u0060\\u012a\\u12AB\\uABCD"', '"\\uD801\\udc37"', '"\\ud83d\\ude39\\ud83d\\udc8d"', '"\\uDBFF\\uDFFE"',
    '"\\uFDD0 \\uFFFE"', '"\u{2028}\u{2029}\u{feff}\u{10ffff}"', '"€𝄞"', '"asd "', '["\\\\a"]', '["\\\\n"]', '["a/*b*/c/*d//e"]', '["\\u0012"]',
    '{"":0}', '{"a":"b","a":"c"}', '{"foo\\u0000bar":42}', '{"min":-1.0e+28,"max":1.0e+28}', '{"a":[]}', '{"x":[{"id":"x"}],"id":"y"}',
    "[123e65]", "[0e+1]", "[0e1]", "[ 4]", "[-0.0000001]", "[20e1]", "[-0]", "[-123]", "[-1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]", "[123.456e78]",
    "[1e-2]", "[1e+2]", "[123]", "[123.456789]", "[1,null,null,null,2]", "[false]", "[2] ", "[1e-400]", "[100000000000000000000]",
    "[0.00000000000000000000000000000000000000000000000000000000000000000000000000000000000000001]",
  }
  local refused = {
    "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[,]", "[1 2]", "[1 true]", "[a", '["a"', '["a",\n4\n,1,', "[1}", '{"a":1]',
    "[][]", "[]]", "{}}", "{}#", "[1]x", "1 2", '{"a":true} "x"', "[1]\0", "\0[1]", "[1\0]", '{"a":"b"}\0', "[*]", "[1:2]", "[\"\":1]", "[++1234]",
    "[+1]", "[-]", "[-01]", "[- 1]", "[-1.]", "[-a]", "[-foo]", "[-Infinity]", "[Infinity]", "[NaN]", "[-NaN]", "nan", "[.1]", "[.2e-3]", "[.-1]", "[0.1.2]", "[0.3e+]",
    "[0.3e]", "[0.e1]", "[0E]", "[0E+]", "[0e]", "[0e+]", "[1.0e]", "[1.0e+]", "[1.0e-]", "[1 000.0]", "[1eE2]", "[2.]", "1.", "[2.e+3]", "[2.e-3]",
    "[9.e+]", "[0x1]", "[0x42]", "[0x]", "[012]", "[-012]", "[00]", "[1+2]", "[1ea]", "[1a]", "[1_000]", "[\u{ff11}]", "[1e999]", "[-1e400]", ("9"):rep(400),
    "[nul]", "[tru]", "[fals]", "nulll", "[True]", "TRUE", "undefined", "['a']", "'a'", '["a\tb"]', '"\n"', '"\0"', '"\31"', '"', '"\\"', '["\\"]', '["\\x00"]',
    '["\\\\\\"]', '["\\\t"]', '["\\u"]', '["\\u1"]', '["\\u00A"]', '["\\u00g0"]', '["\\uD834\\uDd"]', '["\\a"]', '["\\uqqqq"]', '["\\🌀"]', '["\\U0041"]',
    '"\\ud800"', '"\\uDADA"', '"\\udc00"', '"\\uD800\\uD800"', '"\\uDd1e\\uD834"', '"\\ud800abc"', '"\\ud800\\n"', '"\\uD800\\u0041"',
    "{a:1}", "{1:1}", "{'a':0}", '{"a"}', '{"a" "b"}', '{"a":', '{"a":1,}', '{"a":1,,}', '{,"a":1}', '{"a":1 "b":2}', '{"a":"a" 123}', '{"a":1/**/}', "{[1]:2}",
    '{"a":/*comment*/1}', '{"a":1}//', '{"a":1}#', "[1]/**/", "\u{feff}[1]", "\xfe\xff[", "[\u{a0}]", "[\u{2060}]", "[\12]", "[\v1]", "{\"a\":\f1}",
    '"\xff"', '"\xc3"', '"\xc3\x28"', '"\x80"', '"\xe0\x80\xaf"', '"\xc0\xaf"', '"\xed\xa0\x80"', '"\xf4\x90\x80\x80"', '"\xf8\x88\x80\x80\x80"', '"\xe2\x82"',
    '"a\xff' .. ("b"):rep(40) .. '"', '"\\n\xff"', "\xff", ("["):rep(100000), ('{"a":'):rep(100000), ("["):rep(1001) .. ("]"):rep(1001),
  }

  for _, text in ipairs(taken) do
    it("takes " .. quoted(text), function()
      local value = json.decode(text)
      assert.same(value, json.decode(json.encode(value)))
    end)
  end

  for _, text in ipairs(refused) do
    it("refuses " .. quoted(text), function()
      local e = failure(json.decode, text)
      assert.equal("EJSON", e.code)
      assert.equal("json.decode", e.op)
      assert.matches("^json%.decode: line %d+, column %d+: .", e.message)
      assert.is_true(e.position >= 1 and e.position <= #text + 1)
    end)
  end

  it("says where and what", function()
    for text, said in pairs {
      ['{"a": tru}'] = "line 1, column 7: a value expected, found 'tru'",
      ["[1,\n 2,\n 3 4]"] = "line 3, column 4: ',' or ']' expected, found '4'",
      ['["äöü" x'] = "line 1, column 8: ',' or ']' expected, found 'x'",
      ['{"a":1,}'] = "line 1, column 8: a name in double quotes expected, found '}'",
      ["[1]\0"] = "line 1, column 4: nothing more expected, found the byte 0x00",
      ["[1,"] = "line 1, column 4: a value expected, found the end of the text",
      ["1."] = "line 1, column 3: a digit must follow the decimal point",
      ['"a\nb"'] = "line 1, column 3: a control character in a string must be written as an escape",
      ['"abc'] = "line 1, column 5: a string is not closed",
      ["\u{feff}1"] = "line 1, column 1: the text begins with a byte order mark, which JSON does not have",
    } do
      assert.equal("json.decode: " .. said, failure(json.decode, text).message)
    end
    local e = failure(json.decode, '["äöü",\n x')
    assert.same({ 13, 2, 2 }, { e.position, e.line, e.column })
    assert.matches("json_spec.lua:%d+: json.decode: a string expected, got nil", failure(function() json.decode(nil) end))
    assert.matches("json_spec.lua:%d+: json.decode: a string expected, got number", failure(function() json.decode(1) end))
  end)

  it("gives integers where they fit, and floats else", function()
    for text, want in pairs {
      ["0"] = 0, ["-1"] = -1, ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["9223372036854775808"] = 2.0 ^ 63, ["-9223372036854775809"] = -2.0 ^ 63, ["12345678901234567890"] = 12345678901234567890.0,
      ["1.0"] = 1.0, ["1e2"] = 100.0, ["1E-2"] = 0.01, ["18446744073709551616"] = 2.0 ^ 64,
    } do
      local got = json.decode(text)
      assert.equal(want, got)
      assert.equal(math.type(want), math.type(got), text)
    end
    for _, text in ipairs { "-0", "-0.0", "-0e5" } do assert.equal(-math.huge, 1 / json.decode(text)) end
  end)

  it("reads every decimal as the C library does", function()
    math.randomseed(4)
    for _ = 1, 10000 do
      local digits = {}
      for i = 1, math.random(1, 22) do digits[i] = math.random(0, 9) end
      digits = table.concat(digits):gsub("^0+(%d)", "%1")
      local text = digits .. (math.random(2) == 1 and "." .. ("%0" .. math.random(1, 12) .. "d"):format(math.random(0, 999999)) or "") ..
        (math.random(3) == 1 and "e" .. math.random(-320, 280) or ".0")
      text = text:gsub("(%.%d+)%.0$", "%1")
      if tonumber(text) ~= json.decode(text) then error(text) end
    end
  end)

  it("keeps what an escape says, and the last of the same name", function()
    assert.equal('\0"\\/\b\f\n\r\t\u{1F600}é€', json.decode [["\u0000\"\\\/\b\f\n\r\t\ud83d\ude00\u00e9\u20AC"]])
    assert.equal(("x"):rep(5000) .. "\n" .. ("ä"):rep(5000), json.decode('"' .. ("x"):rep(5000) .. "\\n" .. ("ä"):rep(5000) .. '"'))
    assert.equal(3, json.decode('{"a":1,"b":2,"a":3}').a)
    local many = {}
    for i = 1, 2000 do many[i] = ('"k%d":%d'):format(i % 700, i) end
    local got = json.decode("{" .. table.concat(many, ",") .. "}")
    for i = 1301, 2000 do assert.equal(i, got["k" .. i % 700]) end
  end)

  it("reads large arrays and objects whole", function()
    for _, n in ipairs { 15, 16, 17, 255, 256, 257, 511, 513, 70000 } do
      local list, map = {}, {}
      for i = 1, n do list[i], map[i] = i, ('"k%d":%d'):format(i, i) end
      local array, object = json.decode("[" .. table.concat(list, ",") .. "]"), json.decode("{" .. table.concat(map, ",") .. "}")
      assert.equal(n, #array)
      local count = 0
      for k, v in pairs(object) do count = count + (k == "k" .. v and 1 or 0) end
      for i = 1, n do if array[i] ~= i then error(i) end end
      assert.equal(n, count)
    end
    local deep = ("[1,2,"):rep(999) .. "[" .. ("3,"):rep(1000) .. "4]" .. ("]"):rep(999)
    assert.equal(deep, json.encode(json.decode(deep)))
  end)

  it("gives null a value, and arrays their kind", function()
    assert.equal(json.null, json.decode('{"a":null}').a)
    assert.equal(cjson.null, json.null)
    assert.equal(require "green".null, json.null)
    assert.equal('[[],{},[{}],{"a":[]}]', json.encode(json.decode ' [ [ ] , { } , [ { } ] , { "a" : [ ] } ] '))
    local list = json.decode "[1]"
    table.remove(list)
    assert.equal("[]", json.encode(list))
    assert.is_true(json.is_array(list))
    assert.is_false(json.is_array(json.decode "{}"))
    assert.matches("^table: ", tostring(list))
  end)
end)

describe("json.encode", function()
  it("keeps integers integers", function()
    for _, number in ipairs { 0, 1, -1, 9, 10, 99, 100, 101, 2 ^ 31 | 0, 99999999999999, 100000000000000, 1 << 53, (1 << 53) + 1, math.maxinteger, math.mininteger } do
      local text = json.encode { number }
      assert.equal(("[%d]"):format(number), text)
      local back = json.decode(text)[1]
      assert.equal("integer", math.type(back))
      assert.equal(number, back)
    end
  end)

  it("keeps floats floats, with as few digits as can be", function()
    for want, number in pairs {
      ["0.1"] = 0.1, ["0.30000000000000004"] = 0.1 + 0.2, ["0.3333333333333333"] = 1 / 3, ["1700000000.123456"] = 1700000000.123456, ["19.99"] = 19.99,
      ["1000000000000000.0"] = 1e15, ["9007199254740992.0"] = 2.0 ^ 53, ["1e+300"] = 1e300, ["5e-324"] = 5e-324, ["-2.5"] = -2.5, ["1e-07"] = 1e-7,
      ["0.00001"] = 0.00001, ["123456789.125"] = 123456789.125, ["2.2250738585072014e-308"] = 2.2250738585072014e-308, ["1.0"] = 1.0, ["0.0"] = 0.0,
      ["1.7976931348623157e+308"] = 1.7976931348623157e308, ["4503599627370495.5"] = 4503599627370495.5, ["0.6666666666666666"] = 2 / 3, ["-0.0"] = -0.0,
      ["100.0"] = 1e2, ["-3.0"] = -3.0, ["0.99999"] = 0.99999, ["1e+22"] = 1e22, ["9.223372036854776e+18"] = 2.0 ^ 63,
    } do
      assert.equal(want, json.encode(number))
    end
  end)

  -- The digits that count, and how many of them stock Lua needs for the same number.
  local function significant(text) return #(text:gsub("e.*", ""):gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", "")) end

  local function fewest(number)
    for digits = 1, 17 do
      if tonumber(("%." .. digits .. "g"):format(number)) == number then return digits end
    end
  end

  local function check_float(number)
    local text = json.encode(number)
    local back = json.decode(text)
    if back ~= number or tonumber(text) ~= number or math.type(back) ~= "float" then error(text) end
    local exact = math.abs(number) >= 1e-5 and math.abs(number) < 2 ^ 53 -- beyond, 15 digits and more may be one too many
    if exact and fewest(number) ~= math.max(significant(text), 1) then error(text .. " is longer than need be") end
  end

  it("gives back every double", function()
    math.randomseed(5)
    for _ = 1, 4000 do
      local number = ("d"):unpack(("I8"):pack(math.random(0)))
      if number - number == 0 then check_float(number) end
      check_float((math.random() + 0.5) * 10 ^ math.random(-5, 15))
      check_float(math.random(1, 1 << 40) / 10 ^ math.random(1, 12))
      check_float(math.random(-1000000, 1000000) / 100)
    end
    for power = -1074, 1023 do
      check_float(2.0 ^ power)
      if power > -1000 and power < 1000 then
        check_float(2.0 ^ power * (1 + 2.0 ^ -52))
        check_float(2.0 ^ power * (1 - 2.0 ^ -53))
      end
    end
    for power = -320, 308 do check_float(tonumber("1e" .. power)) end
  end)

  it("follows no locale", function()
    local before = os.setlocale()
    for _, name in ipairs { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8" } do
      if os.setlocale(name, "numeric") then break end
    end
    local text, number = json.encode { 0.5, 1e-7, 1 / 3, 1.5e300 }, json.decode "[1e-30,0.1234567890123456789012345]"
    os.setlocale(before)
    assert.equal("[0.5,1e-07,0.3333333333333333,1.5e+300]", text)
    assert.same({ 1e-30, 0.1234567890123456789012345 }, number)
  end)

  it("escapes what must be, and nothing else", function()
    assert.equal([["\"\\/\b\f\n\r\t\u0000\u0001\u001f]] .. "\127<>&'\u{2028}ä€𝄞\"", json.encode "\"\\/\b\f\n\r\t\0\1\31\127<>&'\u{2028}ä€𝄞")
    for n = 0, 140 do -- at every place of every block
      local plain = ("x"):rep(n)
      assert.equal('"' .. plain .. '"', json.encode(plain))
      for _, odd in ipairs { '"', "\\", "\n", "ä", "\31" } do
        local text = plain .. odd .. ("y"):rep(20)
        local written = json.encode(text)
        if json.decode(written) ~= text or cjson.decode(written) ~= text then error(written) end
        if json.encode({ [text] = text }) ~= "{" .. written .. ":" .. written .. "}" then error(written) end
      end
    end
    local long = ("a\"ä\n"):rep(100000)
    assert.equal(long, json.decode(json.encode(long)))
  end)

  it("tells null, empty arrays and empty objects apart", function()
    assert.equal('{"a":null}', json.encode { a = json.null })
    assert.equal("null", json.encode(nil))
    assert.equal("[]", json.encode(json.array()))
    assert.equal('{"a":[]}', json.encode { a = json.array {} })
    assert.equal("{}", json.encode {})
    assert.equal("[1,2]", json.encode(json.array { 1, 2 }))
    assert.equal("[true,false]", json.encode { true, false })
  end)

  it("fills small holes with null, and finds items wherever Lua keeps them", function()
    assert.equal("[1,null,3]", json.encode { 1, nil, 3 })
    assert.equal("[null,2]", json.encode { [2] = 2 })
    assert.equal("[null,null,3]", json.encode(json.array { [3] = 3 }))
    local scattered = {}
    for i = 20, 1, -1 do scattered[i] = i end
    assert.equal("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]", json.encode(scattered))
    assert.equal('[["a",[1,2,3]],["b"]]', json.encode { [2] = { "b" }, [1] = { [2] = { [3] = 3, [2] = 2, [1] = 1 }, [1] = "a" } })
  end)

  it("names the path of what it refuses", function()
    local cycle = {}
    cycle[1], cycle[2] = cycle, cycle
    for _, case in ipairs {
      { print, "%$", "function" },
      { { rows = { {}, {}, { name = print } } }, "%$%.rows%[3%]%.name", "function" },
      { { a = { ["b c"] = { io.stdout } } }, '%$%.a%["b c"%]%[1%]', "userdata" },
      { { 1, { x = 0 / 0 } }, "%$%[2%]%.x", "NaN" },
      { { math.huge }, "%$%[1%]", "infinite" },
      { { a = -math.huge }, "%$%.a", "infinite" },
      { { list = { 1, 2, n = 2 } }, "%$%.list", "a list that also has the key 'n'" },
      { { list = { n = 2, [3] = 1 } }, "%$%.list", "key" },
      { { list = json.array { x = 1 } }, "%$%.list", "a list that also has the key 'x'" },
      { { ids = { [1] = 1, [1000] = 2 } }, "%$%.ids", "a list with the key 1000" },
      { { ids = { [1.5] = 1 } }, "%$%.ids", "the key 1.5" },
      { { ids = { [0] = 1 } }, "%$%.ids", "the key 0" },
      { { ids = { [-1] = 1, [1] = 2 } }, "%$%.ids", "the key %-1" },
      { { ids = { [true] = 1 } }, "%$%.ids", "a boolean as a key" },
      { { ids = { [{}] = 1 } }, "%$%.ids", "a table as a key" },
      { { "ok", "\xff" }, "%$%[2%]", "not UTF%-8 %(byte 0xFF%)" },
      { { a = "b\xed\xa0\x80" }, "%$%.a", "not UTF%-8 %(byte 0xED%)" },
      { { ["\xc3("] = 1 }, '%$%["%?%("%]', "not UTF%-8" },
      { cycle, "%$%[1%]%[1%]%[1%].*%.%.%.", "contains itself" },
    } do
      local e = failure(json.encode, case[1])
      assert.equal("EJSON", e.code)
      assert.matches("^" .. case[2] .. "$", e.path)
      assert.matches("^json%.encode: " .. case[2] .. ": .*" .. case[3], e.message)
    end
  end)

  it("replaces what is no UTF-8 when it is told to", function()
    assert.equal('["a\u{fffd}b\u{fffd}\u{fffd}ä"]', json.encode({ "a\xffb\xe2\x82ä" }, { invalid_utf8 = "replace" }))
    assert.equal("EJSON", failure(json.encode, { "\xff" }, { invalid_utf8 = "error" }).code)
    assert.matches("json_spec.lua:%d+: bad argument #2 to '[%a.]+' %(unknown option 'invalid_utf'; did you mean 'invalid_utf8'%?%)", failure(function() json.encode(1, { invalid_utf = 1 }) end))
    assert.matches("json_spec.lua:%d+: bad argument #2 to '[%a.]+' %(invalid_utf8: unknown 'ignore'; there are error, replace%)", failure(function() json.encode(1, { invalid_utf8 = "ignore" }) end))
    assert.matches("a table expected, got number", failure(json.encode, 1, 2))
  end)

  it("goes 1000 levels deep, no further", function()
    local deep = {}
    for _ = 2, 1000 do deep = { deep } end
    local text = json.encode(deep)
    assert.equal(("["):rep(999) .. "{}" .. ("]"):rep(999), text)
    assert.equal(text, json.encode(json.decode(text)))
    assert.equal("EJSON", failure(json.encode, { deep }).code)
  end)

  it("reads tables raw and leaves them alone", function()
    local value = setmetatable({ id = math.maxinteger, list = json.array(), x = 0.1 + 0.2 }, {
      __index = error, __newindex = error, __pairs = error, __len = error, __tostring = error, __name = "Order" })
    local back = json.decode(json.encode(value))
    assert.same({ id = math.maxinteger, list = {}, x = 0.1 + 0.2 }, back)
    assert.equal(math.maxinteger, rawget(value, "id"))
  end)
end)

describe("json", function()
  local random = math.random

  local function random_string()
    local parts = {}
    for i = 1, random(0, 6) do
      parts[i] = ({ "", "name", '"', "\\", "\n\0", "ä", "€", "𝄞", ("z"):rep(random(40)), "/", utf8.char(random(0x20, 0xd7ff)), tostring(random(0, 99)) })[random(12)]
    end
    return table.concat(parts)
  end

  local function random_value(depth)
    local kind = random(depth > 0 and 8 or 6)
    if kind == 1 then return json.null end
    if kind == 2 then return random(2) == 1 end
    if kind == 3 then return random(-1000, 1000) end
    if kind == 4 then return random(-2 ^ 53 | 0, 2 ^ 53 | 0) / 2 ^ random(0, 60) end
    if kind <= 6 then return random_string() end
    local value = kind == 7 and json.array() or {}
    for i = 1, random(0, 9) do value[kind == 7 and i or random_string()] = random_value(depth - 1) end
    return value
  end

  local function same(a, b)
    if math.type(a) and math.type(b) then return a + 0.0 == b + 0.0 end -- all of its numbers are floats
    if type(a) ~= "table" or type(b) ~= "table" then return a == b end
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
  end

  it("says of random documents what lua-cjson does, and of mutated ones nothing that it does not", function()
    local seed = tonumber(os.getenv "FUZZ_SEED") or os.time()
    math.randomseed(seed)
    local function check(ok, text) if not ok then error(("FUZZ_SEED=%d: %q"):format(seed, text)) end end
    for _ = 1, tonumber(os.getenv "FUZZ_CASES") or 200 do
      local value = random_value(5)
      local text = json.encode(value)
      check(same(value, json.decode(text)), text)
      check(same(cjson.decode(text), json.decode(text)), text)
      for _ = 1, 20 do
        local at = random(#text)
        local mutant = ({
          function() return text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1) end,
          function() return text:sub(1, at - 1) .. text:sub(at + random(4)) end,
          function() return text:sub(1, at) .. ({ '"', "\\", "[", "]", "{", "}", ",", ":", "0", ".", "e", "-", " ", "\0", "\xc3" })[random(15)] .. text:sub(at + 1) end,
          function() return text:sub(1, at) end,
          function() return text:sub(1, at) .. text:sub(random(at), at + 10) .. text:sub(at + 1) end,
        })[random(5)]()
        local ok, got = pcall(json.decode, mutant)
        if ok then
          local too, want = pcall(cjson.decode, mutant)
          check(too and same(want, got) and same(got, json.decode(json.encode(got))), mutant)
        else
          check(got.code == "EJSON", mutant)
        end
      end
    end
  end)

  -- ---- beside others ----

  local rows = {}
  setup(function()
    for i = 1, 100000 do rows[i] = { id = i, name = "row " .. i, price = i / 7, tags = { "a", "b" } } end
  end)
  teardown(function() rows = nil end)

  -- How often another task ran during fn(...).
  local function turns_beside(fn, ...)
    local turns, over = 0, false
    local other = task.spawn(function()
      while not over do
        turns = turns + 1
        task.sleep(0)
      end
    end)
    task.sleep(0)
    local before = turns
    local result = fn(...)
    local after = turns
    over = true
    other:join()
    return after - before, result
  end

  it("makes way while a large document is encoded and decoded", function()
    local turns, text = turns_beside(json.encode, rows)
    assert.is_true(turns > 0)
    local back
    turns, back = turns_beside(json.decode, text)
    assert.is_true(turns > 0)
    assert.equal(#rows, #back)
    assert.equal("row 99999", back[99999].name)
    turns = turns_beside(json.encode, ("ä\n"):rep(10000000))
    assert.is_true(turns > 0)
  end)

  it("ends with its deadline and its cancel", function()
    local text = json.encode(rows)
    assert.equal("EDEADLINE", failure(task.deadline, 0.005, json.decode, text).code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.005, json.encode, rows).code)
    local one = task.spawn(json.decode, text)
    task.sleep(0)
    one:cancel()
    local ok, err = pcall(one.join, one)
    assert.is_true(ok or err.code == "ECANCELED")
  end)

  it("says so when another task changes what is being encoded", function()
    local ok, e
    repeat -- where the other one was quicker, once more
      local changed = {}
      for i = 1, 100000 do changed["key" .. i] = { i, tostring(i), { i } } end
      local other = task.spawn(function()
        for key in pairs(changed) do changed[key] = nil end
        for i = 1, 1000 do changed["new" .. i] = i end
        collectgarbage()
      end)
      ok, e = pcall(json.encode, { data = changed })
      other:join()
    until not ok
    assert.equal("EJSON", e.code)
    assert.equal("$.data", e.path)
    assert.equal("json.encode: $.data: the table was changed by another task while it was encoded", e.message)
  end)
end)

-- Long strings are looked at 16 bytes at a time: whatever is in them must not depend on where it stands.
describe("a long string, whatever stands where in a block of it,", function()
  local valid = { "ü", "€", "한", "\u{1F600}", "\u{7ff}\u{800}", "\u{d7ff}\u{e000}", "\u{fffd}ß", '"', "\\", "\n", "\1", '"ü"', "\\€\\", "üüüüüüüü", "€€€€€€", "" }
  local invalid = { "\xc3", "\x80", "\xc3\xc3\xbc", "\xc0\x80", "\xc1\xbf", "\xe2\x82", "\xe2\x82\xc3\xbc", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
    "\xf5\x80\x80\x80", "\xff", "\xc3\xbc\xbc", "\xe2\x82\xac\xac" }

  local function each(pieces, check)
    for _, piece in ipairs(pieces) do
      for before = 0, 34 do
        for _, after in ipairs { 0, 1, 2, 3, 15, 16, 40 } do check(("x"):rep(64) .. ("y"):rep(before) .. piece .. ("z"):rep(after), piece) end
      end
    end
  end

  it("comes back as it was", function()
    each(valid, function(text) assert(json.decode(json.encode(text)) == text, text) end)
    each(valid, function(text) assert(json.decode('"\\n' .. json.encode(text):sub(2)) == "\n" .. text, text) end)
  end)

  it("is refused when it is no UTF-8", function()
    each(invalid, function(text, piece)
      assert(not pcall(json.encode, text), text)
      local ok, err = pcall(json.decode, '"' .. text .. '"')
      assert(not ok and err.position > text:find(piece, 1, true) and err.position <= text:find(piece, 1, true) + #piece + 1, text)
      assert(not pcall(json.decode, '"\\n' .. text .. '"'), text)
    end)
  end)

  it("has each wrong byte replaced when that is asked for", function()
    each(invalid, function(text) assert(utf8.len(json.encode(text, { invalid_utf8 = "replace" }))) end)
  end)
end)
