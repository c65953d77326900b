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
