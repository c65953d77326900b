-- SPDX-License-Identifier: MIT
-- Debian's Python, which has Debian's modules.
return "/usr/bin/python3"
