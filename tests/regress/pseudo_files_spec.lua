-- SPDX-License-Identifier: MIT
-- Files of /proc are said to be empty and those of /sys to be a page long: an answer with one was 200 without a body, or a
-- 500 since "the file became shorter". Now what has no size of its own is read to its end.
local http = require "green.http"
local new_app = require("green.app").new
local raw = require "http.raw"
local response = require "green.response"

local SYS = "/sys/kernel/uevent_seqnum"
local PROC = "/proc/sys/kernel/ostype"

local function content(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

local function is_there(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
end

describe("an answer with a file of unknown size", function()
  local function ask(path, headers, method)
    return new_app():get("/", function() return response.file(path) end):inject { headers = headers, method = method }
  end

  for _, path in ipairs { PROC, SYS, "/proc/self/limits" } do
    it("has all of " .. path, function()
      if not is_there(path) then return pending("there is no " .. path) end
      for _, headers in ipairs { {}, { range = "bytes=0-1" }, { range = "bytes=-1,0-0" }, { range = "bytes=1-" } } do
        local res = ask(path, headers)
        if res.status ~= 416 then
          assert.same({ 200, content(path) }, { res.status, res.body })
          assert.same({}, { res.headers.etag, res.headers["last-modified"], res.headers["accept-ranges"], res.headers["content-range"] })
          assert.equal("application/octet-stream", res.headers["content-type"])
        end
      end
    end)
  end

  it("says its length to HEAD, and on the wire", function()
    local app = new_app():get("/", function() return response.file(PROC) end)
    raw.serve(function(req) return app:handle(req) end, nil, function(address)
      local url = "http://" .. address .. "/"
      assert.same({ content(PROC), tostring(#content(PROC)) }, { http.get(url).body, http.get(url).headers["content-length"] })
      assert.equal(tostring(#content(PROC)), http.head(url).headers["content-length"])
    end)
  end)

  it("ends somewhere", function()
    local res = ask "/proc/self/pagemap"
    assert.same({ 500, "EFBIG" }, { res.status, res.error.code })
  end)
end)
