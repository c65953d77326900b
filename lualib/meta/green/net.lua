---@meta green.net
-- SPDX-License-Identifier: MIT

---Sockets: TCP and unix, with TLS or without, datagrams, and names.
---Addresses are `"example.com:80"`, `"127.0.0.1:80"`, `"[::1]:80"` or `"unix:/path"`. Times are in seconds. With TLS, what the other
---side is gets verified unless one says otherwise.
---```lua
---local net = require "green.net"
---local task = require "green.task"
---
---local listener <close> = net.listen "127.0.0.1:0"
---task.spawn(function()
---  local socket <close> = listener:accept()
---  for bytes in function() return socket:read() end do socket:write(bytes:upper()) end
---end)
---
---local socket <close> = net.connect(listener:address())
---socket:write "hello"
---print(socket:read()) --> HELLO
---socket:shutdown()
---```
---```lua norun
---local socket <close> = net.connect("example.com:443", { tls = true })
---local tls = { cert = "site.pem", key = "site.key" }
---local listener <close> = net.listen("0.0.0.0:8443", { tls = tls })
---```
---@class green.net
local net = {}

---@class green.net.connect_options
---@field timeout? number seconds for all of it: the name, the connection, the handshake; 30
---@field tls? boolean|green.net.client_tls
---@field family? 4|6 only addresses of this kind, of a name
---@field address? string where to, instead of the argument; or:
---@field host? string|string[] a name or an address; or addresses, to be tried in this order
---@field port? integer with host
---@field path? string a unix socket

---Certificates and keys are paths of PEM files, read at once, or PEM texts.
---@class green.net.client_tls
---@field verify? boolean that the certificate is valid and names the host; true
---@field ca? string authorities to trust instead of the system's (those of SSL_CERT_FILE and SSL_CERT_DIR, if set)
---@field server_name? string whom to ask for and to verify; default: the host connected to
---@field cert? string our certificate, and what leads from it to an authority
---@field key? string its key; default: in `cert`
---@field alpn? string|string[] protocols, the preferred first
---@field timeout? number seconds for the handshake alone

---A server takes TLS 1.3, and 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305.
---@class green.net.server_tls
---@field cert? string certificate, and what leads from it to an authority; may be left out if there is `sni`
---@field key? string its key; default: in `cert`
---@field sni? table<string, { cert: string, key?: string }> other certificates, by the name the client asks for: "www.a.test", "*.a.test"
---@field alpn? string|string[] the first that the client has, too, is chosen; a client that has others and none of them is refused
---@field session_timeout? integer seconds for which a client can resume a session, without another full handshake; 0: not at all; 7200
---@field client_ca? string clients must have a certificate of one of these authorities
---@field verify_client? true|"optional" with client_ca: "optional" lets clients without a certificate in; true
---@field timeout? number seconds for a handshake; 10

---Connects. A name is looked up and its addresses are tried, IPv6 and IPv4 in turn, the next one after a quarter of a second
---or as soon as one has failed; the first to answer is taken.
---Waits.
---Raises: EINVAL for what is no address; ENOTFOUND for a name that is not there; EAI_AGAIN when no name server answers;
---ECONNREFUSED and its like; ETLS with what was wrong ("certificate verify failed: certificate has expired (host
---a.test)"); ETIMEDOUT.
---```lua norun
---local socket <close> = net.connect { host = "mail.test", port = 993, tls = { ca = "our.pem" } }
---```
---@param address string|green.net.connect_options
---@param options? number|green.net.connect_options a number is the timeout
---@return green.net.socket
function net.connect(address, options) end

---@class green.net.listen_options
---@field tls? green.net.server_tls
---@field address? string where, instead of the argument; or:
---@field host? string an address
---@field port? integer with host
---@field path? string a unix socket
---@field mode? integer|string permission bits of its file, which has them from the first: "600"; default: what the umask leaves

---Listens on an address; port 0 is any free one. A unix socket's file that nobody listens on is replaced, and the file is
---removed when the listener is closed, if it is still this one's.
---Does not wait.
---Raises: EINVAL for what is no address; EADDRINUSE and its like; ETLS for certificates that cannot be used.
---@param address string|green.net.listen_options
---@param options? green.net.listen_options
---@return green.net.listener
function net.listen(address, options) end

---The addresses of a host, in the order the system prefers; a number is its own, and `localhost` and all names below it are this
---machine. Names that no server has to be asked for do not wait for those that hang.
---Waits.
---Raises: ENOTFOUND; EAI_AGAIN when no name server answers; EMFILE without a descriptor to ask with; ETIMEDOUT.
---```lua
---print(net.resolve("127.0.0.1")[1]) --> 127.0.0.1
---```
---@param host string
---@param options? { family?: 4|6, timeout?: number } seconds, 30 by default
---@return string[] addresses
function net.resolve(host, options) end

---@class green.net.udp_options
---@field bind? string address; default: any
---@field connect? string address
---@field queue? integer datagrams kept until somebody receives them, 1024 by default (and no more than 4 MB); then the kernel keeps
---what fits in its own buffer
---@field max? integer bytes received of a datagram; the rest is cut off; 65536
---@field receive_buffer? integer bytes of the kernel's buffer
---@field reuse_address? boolean share it with others that say so, too
---@field ipv6_only? boolean
---@field broadcast? boolean may send to broadcast addresses
---@field ttl? integer
---@field multicast_ttl? integer
---@field multicast_loop? boolean what is sent to a group comes back to this machine; true
---@field multicast_interface? string address of the interface to send to groups by

---A socket for datagrams (UDP).
---Does not wait.
---Raises: EINVAL for what is no address; EADDRINUSE and its like.
---```lua
---local socket <close> = net.udp { bind = "127.0.0.1:0" }
---socket:send_to("ping", socket:address())
---print((socket:receive_from())) --> ping
---```
---@param options? green.net.udp_options
---@return green.net.udp
function net.udp(options) end

---A connection. `<close>` closes it. One task may read while another writes.
---```lua
---local listener = net.listen "127.0.0.1:0"
---local socket = net.connect(listener:address())
---socket:write("hello", 5)
---print(listener:accept(5):read(3), socket:peer() == listener:address()) --> hel  true
---socket:close()
---listener:close()
---```
---@class green.net.socket
local socket = {}

---Bytes as soon as there are any, or nil when the other side has ended.
---Waits.
---Raises: EBUSY while another task reads; ECLOSED once this side was closed, also while waiting; ECONNRESET and
---its like; ETLS; ETRUNCATED when a TLS connection ended without saying so: something may be missing; ETIMEDOUT, after
---which the socket can be read again.
---@param max? integer how many bytes at most, 65536 by default
---@param timeout? number seconds, 30 by default
---@return string? bytes
function socket:read(max, timeout) end

---Writes all the bytes. What was written still leaves after a time-out.
---Waits while the other side does not keep up.
---Raises: EBUSY while another task writes; ECLOSED once this side was closed, also while waiting; EPIPE after
---shutdown or when the other side is gone; ETLS; ETIMEDOUT.
---@param bytes string
---@param timeout? number seconds, 30 by default
function socket:write(bytes, timeout) end

---The other side reads the end once it has read what was written; this side may still read.
---Does not wait.
function socket:shutdown() end

---Closes the connection; what was written still leaves, within 30 seconds. Tasks that read or write are woken with
---ECLOSED. A variable `<close>` and the collector do this, too.
---Does not wait.
function socket:close() end

---The address of the other side; nil of a unix socket, and once it is closed.
---Does not wait.
---@return string?
function socket:peer() end

---The number of the user whose process was on the other side of a unix socket when it connected; nil of other sockets.
---Does not wait.
---```lua
---local dir <close> = require "green.fs".temp_dir()
---local listener <close> = net.listen("unix:" .. dir.path .. "/socket")
---local socket <close> = net.connect(listener:address())
---print(math.type(socket:user())) --> integer
---```
---@return integer?
function socket:user() end

---@class green.net.start_tls : green.net.client_tls, green.net.server_tls
---@field server? boolean be the server: the options are those of net.listen, else those of net.connect

---Turns the connection into one with TLS, where both sides have agreed to (STARTTLS). What had arrived and was not read
---counts as part of TLS, so that nothing slips in before it. After a failure the connection is of no use.
---Waits.
---Raises: EBUSY while another task reads or writes; EINVAL when it has TLS already; ECLOSED; ETLS; ETIMEDOUT after 10
---seconds or options.timeout.
---```lua norun
---local socket <close> = net.connect "mail.test:25"
---socket:write "STARTTLS\r\n"
---socket:read()
---socket:start_tls { server_name = "mail.test" }
---```
---@param options? green.net.start_tls
function socket:start_tls(options) end

---@class green.net.tls
---@field protocol string "TLSv1.3"
---@field cipher string "TLS_AES_256_GCM_SHA384"
---@field alpn? string the protocol that was chosen
---@field server_name? string the name the client asked for
---@field resumed boolean it continues an earlier session
---@field verified boolean the other side has a certificate, and it was verified
---@field peer? { subject: string, issuer: string, fingerprint: string, expires: string } its certificate: "O=A,CN=a.test"; the
---SHA-256 of it in hex; "2030-01-31T12:00:00Z"

---What TLS has agreed on; nil without TLS.
---Waits for the handshake of a connection that was accepted; reading does so, too.
---Raises: what was wrong with the handshake; EBUSY while another task waits for it; ECLOSED; ETIMEDOUT.
---```lua norun
---local socket <close> = net.connect("example.com:443", { tls = { alpn = "h2" } })
---print(socket:tls().protocol, socket:tls().alpn)
---```
---@param timeout? number seconds, 30 by default
---@return green.net.tls?
function socket:tls(timeout) end

---A listening socket.
---```lua
---local listener = net.listen "127.0.0.1:0"
---print(listener:address():match "^127") --> 127
---print(select(2, green.try(listener.accept, listener, 0.01)).code) --> ETIMEDOUT
---listener:close()
---```
---@class green.net.listener
local listener = {}

---The next connection. With TLS it comes before the handshake, which goes on beside all others: its failure is raised by
---the socket's methods.
---Waits.
---Raises: EBUSY while another task accepts; ECLOSED once the listener was closed, also while waiting; ETIMEDOUT.
---@param timeout? number seconds, for ever by default
---@return green.net.socket
function listener:accept(timeout) end

---The address with the port that was chosen.
---Does not wait.
---@return string
function listener:address() end

---Other certificates, for connections accepted from now on.
---Does not wait.
---Raises: ETLS, and keeps those it has.
---```lua norun
---local listener = net.listen("0.0.0.0:8443", { tls = { cert = "site.pem" } })
---listener:set_tls { cert = "renewed.pem" }
---```
---@param tls green.net.server_tls
function listener:set_tls(tls) end

---Stops listening; connections nobody has accepted are closed.
---Does not wait.
function listener:close() end

---A socket for datagrams.
---```lua
---local a <close> = net.udp { bind = "127.0.0.1:0" }
---local b = net.udp { bind = "127.0.0.1:0", connect = a:address() }
---b:send("ping", 5)
---local bytes, from = a:receive_from(5)
---print(bytes, from == b:address(), b:peer() == a:address()) --> ping  true  true
---a:send_to("pong", from)
---print(b:receive(5)) --> pong
---a:connect(from)
---b:close()
---```
---@class green.net.udp
local udp = {}

---The next datagram; an empty one is "".
---Waits.
---Raises: EBUSY while another task receives; ECONNREFUSED when the network says that nobody is there (connected sockets
---only); ECLOSED, also while waiting; ETIMEDOUT.
---@param timeout? number seconds, 30 by default
---@return string bytes
---@return true? cut when it was longer than `max`
function udp:receive(timeout) end

---The same, with the address it came from.
---Waits.
---Raises: as `receive`.
---@param timeout? number seconds, 30 by default
---@return string bytes
---@return string address
---@return true? cut
function udp:receive_from(timeout) end

---Sends a datagram to where the socket is connected to.
---Waits when the network has no room, which is rare.
---Raises: EMSGSIZE for more than 65507 bytes (IPv6: 65527); EDESTADDRREQ when it is not connected; ECONNREFUSED when an
---earlier one found nobody; ECLOSED; ETIMEDOUT.
---@param bytes string
---@param timeout? number seconds, 30 by default
function udp:send(bytes, timeout) end

---Sends a datagram to an address, in numbers.
---Waits as `send`.
---Raises: EINVAL for what is no address; EISCONN when the socket is connected; as `send`.
---@param bytes string
---@param address string
---@param timeout? number seconds, 30 by default
function udp:send_to(bytes, address, timeout) end

---From now on only datagrams from there arrive, and `send` needs no address. Once.
---Does not wait.
---Raises: EINVAL for what is no address; EISCONN when it is connected already; ECLOSED.
---@param address string
function udp:connect(address) end

---Joins a multicast group, on an interface given by an address of it.
---Does not wait.
---Raises: EINVAL for what is no such address; ENODEV and the system's others; ECLOSED.
---```lua norun
---local socket <close> = net.udp { bind = "0.0.0.0:5353", reuse_address = true }
---socket:join "224.0.0.251"
---socket:leave "224.0.0.251"
---```
---@param group string
---@param interface? string
function udp:join(group, interface) end

---Leaves a multicast group.
---Does not wait.
---Raises: as `join`.
---```lua norun
---local socket <close> = net.udp { bind = "0.0.0.0:5353", reuse_address = true }
---socket:join "224.0.0.251"
---socket:leave "224.0.0.251"
---```
---@param group string
---@param interface? string
function udp:leave(group, interface) end

---The address with the port that was chosen.
---Does not wait.
---@return string
function udp:address() end

---Where it is connected to.
---Does not wait.
---@return string?
function udp:peer() end

---Closes it; who waits is woken with ECLOSED. A variable `<close>` and the collector do this, too.
---Does not wait.
function udp:close() end

return net
