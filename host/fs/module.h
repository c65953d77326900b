/* SPDX-License-Identifier: MIT */
#ifndef GL_FS_MODULE_H
#define GL_FS_MODULE_H

#include <lua.h>

/* green.fs.native: what lualib/meta/green/fs.lua says, but for what is plain Lua there, and these:
 * open_below(path [, root]) -> file, stat table: opens whatever it is, ENOENT when links lead out of root (waits);
 * watch(dir [, name]) -> watch, with next([timeout]) -> name, "change"|"rename"|"lost", or nil once closed;
 * cwd() -> path. */
int luaopen_green_fs(lua_State *L);

#endif
