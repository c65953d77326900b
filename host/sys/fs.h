/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_FS_H
#define GL_SYS_FS_H

#include <lua.h>

/* green.fs.native, all waiting: stat(path) -> table or nil; realpath(path); read(path [, max]) -> string;
 * scandir(path) -> list of {name=, type=}; open(path [, root]) -> file, stat table. file:read(offset, n) -> string
 * or nil at the end (waits); file:close(). */
int gl_open_fs(lua_State *L);

#endif
