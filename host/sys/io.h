/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_IO_H
#define GL_SYS_IO_H

#include <lua.h>

/* Puts the waiting version of the io library, and print, in the place of the stock one. Raises. */
void gl_open_io(lua_State *L);

/* Write out all that io.write and print have accepted, blocking: before the process ends, before it becomes two. */
void gl_io_flush_now(lua_State *L);

#endif
