-- SPDX-License-Identifier: MIT
---@meta green.net

---Sockets: TCP and unix. Addresses are `"127.0.0.1:80"`, `"[::1]:80"`, `"localhost:80"` or `"unix:/path"`; names are not
---looked up here. Times are in seconds.
---
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
---print(socket:read())
---```
local net = {}

---Connects to an address. Waits.
---
---Raises: EINVAL for what is no address; ECONNREFUSED and its like; ETIMEDOUT; ECANCELED.
---@param address string
---@param timeout? number seconds, 30 by default
---@return green.net.socket
function net.connect(address, timeout) end

---Listens on an address; port 0 is any free one. A unix socket's file that nobody listens on is replaced, and the file is
---removed when the listener is closed. Does not wait.
---
---Raises: EINVAL for what is no address; EADDRINUSE and its like.
---@param address string
---@return green.net.listener
function net.listen(address) end

---A connection. One task may read while another writes.
---@class green.net.socket
local socket = {}

---Returns bytes as soon as there are any, or nil when the other side has ended. Waits.
---
---Raises: EBUSY while another task reads; ECLOSED once this side was closed, also while waiting; ECONNRESET and
---its like; ETIMEDOUT, after which the socket can be read again; ECANCELED.
---@param max? integer how many bytes at most, 65536 by default
---@param timeout? number seconds, 30 by default
---@return string? bytes
function socket:read(max, timeout) end

---Writes all the bytes. Waits while the other side does not keep up; what was written then still leaves after
---a time-out.
---
---Raises: EBUSY while another task writes; ECLOSED once this side was closed, also while waiting; EPIPE after
---shutdown or when the other side is gone; ETIMEDOUT; ECANCELED.
---@param bytes string
---@param timeout? number seconds, 30 by default
function socket:write(bytes, timeout) end

---The other side reads the end once it has read what was written; this side may still read. Does not wait.
function socket:shutdown() end

---Closes the connection; what was written still leaves, within 30 seconds. Tasks that read or write are woken with
---ECLOSED. Does not wait. A variable `<close>` and the collector do this, too.
function socket:close() end

---A listening socket.
---@class green.net.listener
local listener = {}

---Returns the next connection. Waits.
---
---Raises: EBUSY while another task accepts; ECLOSED once the listener was closed, also while waiting; ETIMEDOUT;
---ECANCELED.
---@param timeout? number seconds, for ever by default
---@return green.net.socket
function listener:accept(timeout) end

---The address with the port that was chosen.
---@return string
function listener:address() end

---Stops listening; connections nobody has accepted are closed. Does not wait.
function listener:close() end

return net
