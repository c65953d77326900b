-- SPDX-License-Identifier: MIT
-- Messages to topics and users: within this process, where the functions are those of C; or, when the environment names a broker in
-- GREENLUA_HUB, in all processes that name the same one.
local native = require "green.hub.native"

local url = os.getenv "GREENLUA_HUB"
if url and url ~= "" then return require "green.hub.shared"(url) end

local M = native.alone

function M.stats() return { connected = false, connects = 0, lost = 0, refused = 0, unconfirmed = 0, waiting = 0 } end

return M
