-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 160
exclude_files = { "lualib/meta", "build" } -- stubs: their bodies are empty
unused_args = false                        -- an argument may document what is passed
ignore = { "581" }                         -- not (x >= y): x may be NaN

-- Tests let go of values (311), leave loops early (512), and say much in one line.
files["tests"] = { std = "lua54+busted", ignore = { "221", "311", "431", "512" }, max_line_length = false }
files["tests/bench/pipeline.lua"] = { globals = { "init", "request" }, read_globals = { "wrk" } }
