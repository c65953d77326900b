-- SPDX-License-Identifier: MIT
-- Each error of a request says in which phase it came, and whether the request may have been sent: those before and behind the transport, too.
local fault = require "green.error"
local fs = require "green.fs"
local http = require "green.http"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local response = require "green.response"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 20 -- seconds, where something is bound to come

local function serving(handler, use)
  local server = native.listen("127.0.0.1:0", handler)
  local ok, e = xpcall(use, debug.traceback, "http://" .. server:address() .. "/")
  transport.close_idle()
  server:abort()
  server:finish(WAIT)
  assert(ok, e)
end

-- Runs use(url) while a listener takes whatever is sent, and never answers.
local function draining(use)
  local listener <close> = net.listen "127.0.0.1:0"
  local acceptor = task.spawn(function()
    while true do
      local socket <close> = listener:accept()
      pcall(function() while socket:read(65536) do end end)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address() .. "/")
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  assert(ok, e)
end

local function how(...)
  local e = outcome.failure(...)
  assert.is_true(fault.is(e), tostring(e))
  return ("%s %s %s"):format(e.code, e.phase, e.sent)
end

describe("an error of a request", function()
  it("says that nothing was sent when the request could not be made", function()
    local dir <close> = fs.temp_dir()
    fs.symlink("loop", dir.path .. "/loop")
    for _, case in ipairs {
      { "EINVAL", "not a URL" }, { "EINVAL", "ftp://h/" }, { "EINVAL", "http://h:99999/" }, { "EINVAL", "http://h/", { headers = { ["a b"] = "c" } } },
      { "EINVAL", "http://h/", { headers = { a = "b\r\nc: d" } } }, { "EINVAL", "http://h/", { headers = { Upgrade = "x" } } },
      { "EMSGSIZE", "http://h/", { headers = { a = ("x"):rep(100000) } } }, { "EINVAL", "http://h/", { proxy = "socks5://p" } },
      { "EINVAL", "http://h/", { unix = ("x"):rep(200) } }, { "EACCES", "http://h/", { unix = "/run/x", deny_private = true } },
      { "ETLS", "https://h/", { ca = dir.path .. "/none" } }, { "EINVAL", "https://h/", { tls = { pins = {} } } },
      { "ENOENT", "http://h/", { body = { file = dir.path .. "/none" } } }, { "EINVAL", "http://h/", { body = { file = dir.path } } },
      { "ELOOP", "http://h/", { body = { file = dir.path .. "/loop" } } },
      { "EINVAL", "http://h/", { multipart = { { name = "a\n", value = 1 } } } },
      { "EINVAL", "http://h/", { body = function() end, trailers = { Host = "x" } } },
    } do assert.equal(case[1] .. " request false", how(http.post, case[2], case[3])) end
    assert.equal("EINVAL request false", how(http.client({ base_url = "http://h/" }).get, http.client { base_url = "http://h/" }, "http://other/"))
    assert.equal("EINVAL request false", how(http.download, "no URL", dir.path .. "/x"))
  end)

  it("says which phase of the connection failed", function()
    assert.equal("ENOTFOUND resolve false", how(http.get, "http://h.invalid/"))
    assert.equal("EACCES connect false", how(http.get, "http://127.0.0.1:9/", { deny_private = true }))
  end)

  it("says that the request was sent when a redirect leads nowhere", function()
    serving(function(req)
      if req.target == "/loop" then return response.status(302, { location = "/loop" }) end
      if req.target == "/ftp" then return response.status(302, { location = "ftp://h/" }) end
      if req.target == "/again" then return response.status(307, { location = "/" }) end
      return response.status(302, { location = "http://" .. ("x"):rep(300) .. ".invalid/" })
    end, function(url)
      assert.equal("ELOOP redirect true", how(http.get, url .. "loop", { redirects = 2 }))
      assert.equal("EINVAL redirect true", how(http.get, url .. "ftp"))
      local once = true
      assert.equal("EINVAL redirect true", how(http.post, url .. "again", { body = function()
        once = not once
        return not once and "x" or nil
      end }))
    end)
  end)

  it("says that the request was sent when the body cannot be decoded or is too long", function()
    local dir <close> = fs.temp_dir()
    serving(function()
      local res = response.text "no gzip"
      res:header("content-encoding", "gzip")
      return res
    end, function(url)
      assert.equal("EPROTO body true", how(http.get, url))
      assert.equal("EMSGSIZE body true", how(http.get, url, { max_body = 3 }))
      assert.equal("EMSGSIZE body true", how(http.download, url, dir.path .. "/x", { decode = false, max_body = 3 }))
    end)
  end)

  it("tells of the function that gives the body, and leaves what it says itself", function()
    draining(function(url)
      local mine = fault.new("mine", "EMINE", "on purpose")
      local e = outcome.failure(http.post, url, { body = function() error(mine) end })
      assert.is_true(rawequal(mine, e))
      assert.equal("send", e.phase)
      assert.is_boolean(e.sent)
      local given = 0
      e = outcome.failure(http.post, url, { length = 1 << 30, body = function() -- so much that a part has left when it fails
        given = given + 1
        if given < 200 then return ("x"):rep(65536) end
        error(fault.new("mine", "EMINE", "on purpose"))
      end })
      assert.equal("EMINE send true", ("%s %s %s"):format(e.code, e.phase, e.sent))
      assert.equal("ENOTFOUND resolve false", how(http.post, url, { body = function() return http.get("http://h.invalid/").body end }))
      assert.equal("a string", outcome.failure(http.post, url, { body = function() error("a string", 0) end }))
    end)
  end)
end)
