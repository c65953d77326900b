/* SPDX-License-Identifier: MIT */
#ifndef GL_IO_MODULE_H
#define GL_IO_MODULE_H

#include <stdbool.h>

#include <lua.h>

/* Puts the waiting version of the io library, and print, in the place of the stock one. Raises. */
void gl_install_io(lua_State *L);

/* Push a function that reads all that stdin has left. */
void gl_io_push_read_all(lua_State *L);

/* Write out all that io.write and print have accepted, blocking: before the process ends. */
void gl_io_flush_sync(lua_State *L);

/* Before a program is started that writes to the same places: write out what was printed and flushed; `all`: what was
 * written, too. Never waits. `reads`: it has our stdin, and finds there what we have read ahead. */
void gl_io_before_start(lua_State *L, bool all, bool reads);

#endif
