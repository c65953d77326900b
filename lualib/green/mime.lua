-- SPDX-License-Identifier: MIT
-- Internal.
-- Content types by file extension, and which of them are worth compressing.
local types = {
  aac = "audio/aac", apng = "image/apng", avif = "image/avif", bmp = "image/bmp", css = "text/css", csv = "text/csv",
  eot = "application/vnd.ms-fontobject", epub = "application/epub+zip", flac = "audio/flac", gif = "image/gif",
  gz = "application/gzip", htm = "text/html", html = "text/html", ico = "image/x-icon", ics = "text/calendar",
  jpeg = "image/jpeg", jpg = "image/jpeg", js = "text/javascript", json = "application/json", jsonld = "application/ld+json",
  lua = "text/plain", m4a = "audio/mp4", map = "application/json", md = "text/markdown", mjs = "text/javascript",
  mp3 = "audio/mpeg", mp4 = "video/mp4", mpeg = "video/mpeg", oga = "audio/ogg", ogg = "audio/ogg", ogv = "video/ogg",
  opus = "audio/ogg", otf = "font/otf", pdf = "application/pdf", png = "image/png", rss = "application/rss+xml",
  svg = "image/svg+xml", tar = "application/x-tar", tif = "image/tiff", tiff = "image/tiff", ttf = "font/ttf",
  txt = "text/plain", wasm = "application/wasm", wav = "audio/wav", weba = "audio/webm", webm = "video/webm",
  webmanifest = "application/manifest+json", webp = "image/webp", woff = "font/woff", woff2 = "font/woff2",
  xhtml = "application/xhtml+xml", xml = "application/xml", zip = "application/zip",
}

local M = { types = types }

local function is_text(kind)
  return kind:find("^text/") or kind:find("json$") or kind:find("xml$") or kind == "application/wasm"
end

-- The Content-Type of a path: application/octet-stream when the extension says nothing.
function M.of(path)
  local extension = path:match("%.([^./]+)$")
  local kind = extension and types[extension:lower()] or "application/octet-stream"
  return kind:find("^text/") and kind .. "; charset=utf-8" or kind
end

function M.compressible(content_type) return is_text(content_type:match("^[^;]*")) and true or false end

return M
