-- SPDX-License-Identifier: MIT
---@meta

---Files. Every function waits, on the thread pool; failures raise error objects (`code` "ENOENT", "EACCES" ...).
---Paths with NUL bytes are refused.
local fs = {}

---@class green.stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field size integer bytes
---@field mtime number seconds since 1970
---@field mode integer permission bits

---A whole regular file. Raises EFBIG when it is larger than `max`.
---@param path string
---@param max? integer bytes (64 MB)
---@return string
function fs.read(path, max) end

---nil when there is nothing by that name. Links are followed.
---@param path string
---@return green.stat?
function fs.stat(path) end

---The entries of a directory, sorted by name, without "." and "..".
---@param path string
---@return { name: string, type: string }[]
function fs.list(path) end

---The absolute path without links. Raises ENOENT.
---@param path string
---@return string
function fs.realpath(path) end

return fs
