-- SPDX-License-Identifier: MIT
-- A server behind HAProxy, which passes on TCP and says for whom by the PROXY protocol.
-- Needs: peers
local certificates = require "net.certificates"
local fs = require "green.fs"
local process = require "green.process"
local raw = require "http.raw"
local start = require "peers.start"

local OPTIONS = { trusted_proxies = { "127.0.0.1" }, proxy_protocol = true }

-- HAProxy's ways of saying it, by the end of its server's line; and what its listener needs.
local WAYS = {
  { sends = "send-proxy", scheme = "http" }, { sends = "send-proxy-v2", scheme = "http" },
  { sends = "send-proxy-v2-ssl-cn", scheme = "https", bind = "ssl crt site.pem" },
}

local HEAD = [[
global
  maxconn 100
defaults
  mode tcp
  option httpchk GET /health
  timeout connect 60s
  timeout client 60s
  timeout server 60s
]]

local function configuration(ports, address)
  local text = { HEAD }
  for i, way in ipairs(WAYS) do
    text[#text + 1] = ("listen way%d\n  bind 127.0.0.1:%d %s\n  server us %s %s check inter 20ms\n"):format(i, ports[i], way.bind or "", address, way.sends)
  end
  return table.concat(text)
end

local function written(dir, name, text)
  fs.write(fs.join(dir, name), text)
  return fs.join(dir, name)
end

-- Runs use(ports) while HAProxy passes on to the server at this address.
local function passing(certs, address, use)
  local dir <close> = fs.temp_dir()
  local log = fs.join(dir.path, "log")
  local pem = written(dir.path, "site.pem", fs.read(certs.site.cert) .. fs.read(certs.site.key))
  local ports
  local _ <close> = start.configured(function(free)
    ports = free
    local file = written(dir.path, "haproxy.cfg", (configuration(free, address):gsub("site%.pem", pem)))
    return { "sh", "-c", "exec /usr/sbin/haproxy -db -V -f " .. file .. " > " .. log .. " 2>&1" }
  end, { count = #WAYS, log = log, ready = "Using epoll" })
  use(ports)
end

describe("behind HAProxy", function()
  it("clients are who it says, and its health checks, by which it speaks for itself, are answered", function()
    local certs <close> = certificates()
    local checks = 0
    local function tell(req)
      if req.path == "/health" then checks = checks + 1 end
      return ("%s %s"):format(req.remote, req.scheme)
    end
    raw.serve(tell, OPTIONS, function(address)
      passing(certs, address, function(ports)
        for i, way in ipairs(WAYS) do
          local got = process.capture { "curl", "-sS", "--cacert", certs.ca, "-w", " %{local_ip}:%{local_port}", way.scheme .. "://127.0.0.1:" .. ports[i] }
          local remote, scheme, own = got.stdout:match "^(%S+) (%S+) (%S+)$"
          assert.equal(own, remote, got.stdout .. got.stderr)
          assert.equal(way.scheme, scheme)
        end
        local before = checks
        raw.eventually(function() return checks > before + #WAYS end)
      end)
    end)
  end)
end)
