-- SPDX-License-Identifier: MIT
-- Certificates made with the openssl command, in a folder of their own:
--
--     local certs = certificates()      -- certs.ca, certs.site.cert, certs.site.key ...; all paths
--     certs:close()
local fs = require "green.fs"
local process = require "green.process"

local Certificates = {}
Certificates.__index = Certificates
Certificates.__close = function(self) self.dir:close() end
Certificates.close = Certificates.__close

local function openssl(...)
  local got = process.capture { "openssl", ... }
  assert(got.code == 0, got.stderr)
end

local CURVE = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes" }

local function request(...)
  local words = { "req", table.unpack(CURVE) }
  for _, word in ipairs { ... } do words[#words + 1] = word end
  openssl(table.unpack(words))
end

-- A certificate of its own making: an authority, or one that nobody trusts.
local function self_signed(path, name, alt)
  request("-x509", "-days", "2", "-subj", "/CN=" .. name, "-keyout", path .. ".key", "-out", path .. ".pem",
    table.unpack(alt and { "-addext", "subjectAltName=" .. alt } or {}))
  return { cert = path .. ".pem", key = path .. ".key" }
end

local function signed(path, name, alt, ca, days)
  request("-subj", "/CN=" .. name .. "/O=greenlua", "-addext", "subjectAltName=" .. alt, "-keyout", path .. ".key", "-out", path .. ".csr")
  openssl("x509", "-req", "-in", path .. ".csr", "-CA", ca.cert, "-CAkey", ca.key, "-days", tostring(days or 2), "-copy_extensions", "copy",
    "-out", path .. ".pem")
  return { cert = path .. ".pem", key = path .. ".key" }
end

return function()
  local dir = fs.temp_dir()
  local function at(name) return fs.join(dir.path, name) end
  local ca = self_signed(at "ca", "test authority")
  local other_ca = self_signed(at "other_ca", "another authority")
  return setmetatable({
    dir = dir,
    ca = ca.cert,
    other_ca = other_ca.cert,
    site = signed(at "site", "a.test", "DNS:a.test,DNS:localhost,IP:127.0.0.1", ca),
    b = signed(at "b", "b.test", "DNS:b.test", ca),
    wild = signed(at "wild", "wild", "DNS:*.c.test", ca),
    expired = signed(at "expired", "localhost", "DNS:localhost,IP:127.0.0.1", ca, -1),
    alone = self_signed(at "alone", "localhost", "DNS:localhost,IP:127.0.0.1"),
    client = signed(at "client", "a client", "DNS:client.test", ca),
    stranger = signed(at "stranger", "a stranger", "DNS:client.test", other_ca),
  }, Certificates)
end
