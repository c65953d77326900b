-- SPDX-License-Identifier: MIT
-- Large bodies, never held as a whole: the handler starts when the head of the request is there, and reads the body as
-- it comes, as fast as it can use it. A form's files come part by part, anything else chunk by chunk.
--
--     curl -F file=@README.md localhost:8080/
--     curl -T README.md localhost:8080/raw
local app = require "green.app".new()
local json = require "green.json"
local response = require "green.response"

local function measure(chunks)
  local size, lines = 0, 0
  for bytes in chunks do
    size = size + #bytes
    lines = lines + select(2, bytes:gsub("\n", ""))
  end
  return size, lines
end

app:post("/", function(req)
  local files = {}
  for part in req:parts() do
    if part.filename then
      local size, lines = measure(part:chunks())
      files[#files + 1] = { name = part.filename, size = size, lines = lines }
    end
  end
  return json.array(files)
end)

app:put("/raw", function(req)
  local size, lines = measure(req:chunks())
  return { size = size, lines = lines }
end)

app:get("/", function()
  return response.html [[
    <!doctype html><title>Upload</title>
    <form method="post" enctype="multipart/form-data">
      <input type="file" name="file" multiple> <button>Send</button>
    </form>
  ]]
end)

return app
