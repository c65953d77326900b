-- SPDX-License-Identifier: MIT
--
-- Script for wrk: every write carries 16 requests. wrk counts the requests in
-- it by itself and writes again only when all 16 are answered.
local batch

function init()
    local requests = {}
    for i = 1, 16 do requests[i] = wrk.format() end
    batch = table.concat(requests)
end

function request()
    return batch
end
