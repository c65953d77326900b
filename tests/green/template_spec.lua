-- SPDX-License-Identifier: MIT
local template = require "green.template"

local function render(text, values) return template.compile(text, "t.html")(values) end

local function fails(why, text, values)
  local ok, err = pcall(render, text, values)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find(why, 1, true), tostring(err))
end

describe("template", function()
  it("escapes what it inserts, unless told not to", function()
    assert.equal("a &lt;b&gt; &amp;&quot;&#39; <b>", render("a {{ x }} {- y -}", { x = "<b> &\"'", y = "<b>" }))
    assert.equal("1 true  ", render("{{ 1 }} {{ true }} {{ nothing }}{- nothing -} "))
    assert.equal("", render "")
    assert.equal("plain \"\\ \r\n\0text", render "plain \"\\ \r\n\0text")
    assert.equal("&lt;p&gt;", template.escape "<p>")
  end)

  it("runs code, and code lines leave no line behind", function()
    local text = "<ul>\n{% for i, x in ipairs(list) do %}\n<li>{{ i }}: {{ x:upper() }}\n{% end %}\n</ul>"
    assert.equal("<ul>\n<li>1: A\n<li>2: &lt;\n</ul>", render(text, { list = { "a", "<" } }))
    assert.equal("23", render("{% local y = x + 1 %}{% n = x + 2 %}{{ y }}{{ n }}", { x = 1 }))
    assert.is_nil(rawget(_G, "n"))
  end)

  it("leaves alone what only looks like a tag", function()
    assert.equal("a{-webkit-x:1} { {x} %} }} -}", render "a{-webkit-x:1} { {x} %} }} -}")
  end)

  it("is made once and used often", function()
    local t = template.compile "{{ x }}"
    assert.same({ "1", "2", "" }, { t { x = 1 }, t { x = 2 }, t() })
  end)

  it("names the template and the line of an error", function()
    fails("t.html:3: attempt to index a nil value", "a\nb\n{{ x.y }}")
    fails("t.html:4:", "a\n{% if true then %}\n{% end %}\n{{ error 'x' }}\n")
    fails("t.html:2:", "a\n{{ 1 + }}")
    fails("t.html:2: ipairs: 'order.items' is nil", "a\n{% for _, x in ipairs(order.items) do %}{{ x }}{% end %}", { order = {} })
    fails("t.html:1: pairs: 'none' is nil", "{% for k in pairs ( none ) do %}{% end %}")
    fails("t.html:2: ipairs: what is to be looped over is nil", "\n{% for _ in ipairs {} do end for _ in ipairs(a) do end %}")
    fails("t.html:2: attempt to concatenate a nil value (global 'name')", "\n{{ 'a' .. name }}")
    fails("t.html:2: '__tostring' must return a string", "\n{{ x }}", { x = setmetatable({}, { __tostring = function() return {} end }) })
    fails("t.html:2: no text", "\n{- x -}", { x = setmetatable({}, { __tostring = function() error("no text", 0) end }) })
  end)

  it("says where it was misused", function()
    local here = "template_spec.lua:" .. debug.getinfo(1, "l").currentline + 1 .. ": "
    local ok, err = pcall(function() template.compile() end)
    assert.same({ false, true }, { ok, err:find(here .. "template.compile: text: a string expected, got nil", 1, true) ~= nil })
    local t = template.compile("x", "t.html")
    here = "template_spec.lua:" .. debug.getinfo(1, "l").currentline + 2 .. ": "
    ok, err = pcall(function()
      local text = t(5)
      return text
    end)
    assert.same({ false, true }, { ok, err:find(here .. "t.html: values: a table expected, got number", 1, true) ~= nil })
  end)

  it("leaves what is looped over to who provides it", function()
    assert.equal("own", render("{{ ipairs }}", { ipairs = "own" }))
    assert.equal("12", render("{% for _, x in ipairs(list) do %}{{ x }}{% end %}", { list = setmetatable({}, { __index = function(_, i) return i < 3 and i or nil end }) }))
    fails("t.html:2:", "\n{{ error 'x' }}")
    fails("t.html:3: '{{' without '}}'", "a\n\n{{ x")
    fails("t.html:1: '{%' without '%}'", "{% x")
  end)

  it("comes from a file", function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    f:write "<{{ x }}>"
    f:flush()
    assert.equal("<&amp;>", template.load(path) { x = "&" })
    os.remove(path)
    local ok, err = pcall(template.load, path)
    assert.is_false(ok)
    assert.equal("ENOENT", err.code)
  end)
end)
