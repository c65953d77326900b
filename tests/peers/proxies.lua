-- SPDX-License-Identifier: MIT
-- Proxies of others:
--
--     local squid <close> = proxies.start.squid(forbidden)   -- a port that the proxy lets nobody reach
--     squid.url, squid.guarded: the second one wants to know who asks, and lets us:pa pass
--
-- nginx is no proxy by trade: it passes on what is asked in absolute form, knows no CONNECT, and has no guarded port.
local fs = require "green.fs"
local process = require "green.process"
local start = require "peers.start"

local Proxy = {}
Proxy.__index = Proxy

function Proxy:kill()
  for _, child in ipairs(self.children) do
    child:kill "KILL"
    child:wait()
  end
end

-- Starts it again after kill, on the same ports.
function Proxy:restart()
  for _, child in ipairs(self.children) do child:close() end
  self:run(self.ports)
end

function Proxy:close()
  for _, child in ipairs(self.children) do child:close() end
  self.dir:close()
end
Proxy.__close = Proxy.close

function Proxy:at(name) return fs.join(self.dir.path, name) end

local function write(self, name, text, values)
  fs.write(self:at(name), (text:gsub("@(%w+)@", values)))
  return self:at(name)
end

local function start_tinyproxy(self, name, auth, port)
  local child, got = start.configured(function(ports)
    return { "/usr/bin/tinyproxy", "-d", "-c", write(self, name .. ".conf", [[
      Port @port@
      Listen 127.0.0.1
      Timeout 600
      MaxClients 100
      Allow 127.0.0.1
      Filter "@filter@"
      FilterURLs On
      FilterExtended On
      LogFile "@log@"
      LogLevel Info
      @auth@
    ]], { port = ports[1], filter = write(self, "filter", ":" .. self.forbidden .. "(/|$)", {}), log = self:at(name), auth = auth }) }
  end, { count = 1, ports = port and { port }, log = self:at(name), ready = "Accepting connections" })
  self.children[#self.children + 1] = child
  return got
end

local function run_tinyproxy(self, ports)
  self.children = {}
  self.ports = { start_tinyproxy(self, "open", "", ports and ports[1]), start_tinyproxy(self, "guarded", "BasicAuth us pa", ports and ports[2]) }
end

local function run_squid(self, ports)
  fs.chmod(self.dir.path, tonumber("777", 8)) -- started by root, squid becomes another user
  local hash = process.capture({ "openssl", "passwd", "-apr1", "pa" }).stdout
  local child, port, guarded = start.configured(function(free)
    return { "/usr/sbin/squid", "-N", "-f", write(self, "squid.conf", [[
http_port 127.0.0.1:@port@
http_port 127.0.0.1:@guarded@
pid_filename none
cache_log @dir@/squid.log
access_log none
netdb_filename none
coredump_dir @dir@
pinger_enable off
cache deny all
cache_mem 1 MB
max_filedescriptors 1024
shutdown_lifetime 0 seconds
visible_hostname squid.test
auth_param basic program /usr/lib/squid/basic_ncsa_auth @passwords@
auth_param basic children 1
auth_param basic realm squid
acl guarded localport @guarded@
acl known proxy_auth REQUIRED
acl forbidden port @forbidden@
http_access deny forbidden
http_access deny guarded !known
http_access allow localhost
http_access deny all
]], { port = free[1], guarded = free[2], dir = self.dir.path, forbidden = self.forbidden, passwords = write(self, "passwords", "us:" .. hash, {}) }) }
  end, { count = 2, ports = ports, log = self:at "squid.log", ready = "Accepting HTTP Socket connections at .*Accepting HTTP Socket connections at" })
  self.children, self.ports = { child }, { port, guarded }
end

local function run_nginx(self, ports)
  local child, port = start.configured(function(free)
    write(self, "nginx.conf", [[
      @user@
      daemon off;
      master_process off;
      pid nginx.pid;
      error_log nginx.log notice;
      events {}
      http {
        access_log off;
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
        server {
          listen 127.0.0.1:@port@;
          location / {
            proxy_pass http://$http_host$request_uri;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header Via "1.1 nginx";
          }
        }
      }
    ]], { user = start.is_root() and "user root root;" or "", port = free[1] })
    return { "/usr/sbin/nginx", "-p", self.dir.path, "-e", "nginx.log", "-c", "nginx.conf" }
  end, { count = 1, ports = ports, log = self:at "nginx.log", ready = "getrlimit" })
  self.children, self.ports = { child }, { port }
end

local function starter(run)
  return function(forbidden)
    local self = setmetatable({ dir = fs.temp_dir(), forbidden = forbidden, run = run }, Proxy)
    self:run()
    self.url = "http://127.0.0.1:" .. self.ports[1]
    self.guarded = self.ports[2] and "http://us:pa@127.0.0.1:" .. self.ports[2]
    return self
  end
end

return { start = { tinyproxy = starter(run_tinyproxy), squid = starter(run_squid), nginx = starter(run_nginx) }, installed = start.installed }
