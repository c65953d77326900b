-- SPDX-License-Identifier: MIT
-- What stands above a request of the client: cookie jars, URLs, and lists that are looked through.
local http = require "green.http"
local url = require "green.url"

local function row(name, start, prepare) return { name = "client: " .. name, start = start, prepare = prepare } end

local function store(jar, i, line) jar:store(("https://h%d.example/"):format(i), line) end

return {
  row("n cookies, each of another host", 200, function(n)
    local jar = http.cookies()
    return function()
      for i = 1, n do store(jar, i, "a=b; Secure") end
    end
  end),
  row("n cookies of one host", 200, function(n)
    local jar = http.cookies()
    return function()
      for i = 1, n do store(jar, 1, ("a%d=b"):format(i)) end
    end
  end),
  row("n requests with a jar of n/10 hosts", 200, function(n)
    local jar = http.cookies()
    for i = 1, n // 10 do store(jar, i, "a=b") end
    return function()
      for i = 1, n do jar:header(("https://h%d.example/"):format(i % (n // 10) + 1)) end
    end
  end),
  row("a path of n dots", 2000, function(n)
    local path = "/a" .. ("/../b"):rep(n)
    return function() url.normalize_path(path) end
  end),
  row("no_proxy of n names", 500, function(n)
    local names = {}
    for i = 1, n do names[i] = ("h%d.example"):format(i) end
    local text, parts = table.concat(names, ","), url.parse "http://a.example/"
    local function getenv(name) return name == "no_proxy" and text or name == "http_proxy" and "p:1" or nil end
    return function()
      for _ = 1, 20 do require("green.http.proxy").select("http.get", nil, parts, 80, getenv) end
    end
  end),
}
