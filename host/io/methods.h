/* SPDX-License-Identifier: MIT
 *
 * The functions of the io library and the methods of files. Upvalues: the host's gl_files, and the stock function of
 * the same name, for files that are not ours.
 */
#ifndef GL_IO_METHODS_H
#define GL_IO_METHODS_H

#include <lua.h>

struct gl_files;

/* io.c: the host's files. */
struct gl_files *gl_io_files(lua_State *L);

/* stdio.c */
int gl_method_close(lua_State *L);
int gl_method_gc(lua_State *L);
int gl_method_tostring(lua_State *L);
int gl_io_close(lua_State *L);

/* stdio_read.c */
int gl_method_read(lua_State *L);
int gl_method_lines(lua_State *L);
int gl_io_read(lua_State *L);
int gl_io_lines(lua_State *L);
int gl_io_read_all(lua_State *L); /* of stdin */

/* stdio_write.c */
int gl_method_write(lua_State *L);
int gl_method_flush(lua_State *L);
int gl_method_setvbuf(lua_State *L);
int gl_method_seek(lua_State *L);
int gl_io_write(lua_State *L);
int gl_io_flush(lua_State *L);
int gl_io_print(lua_State *L); /* without upvalues */

/* stdio_open.c */
int gl_io_open(lua_State *L);
int gl_io_tmpfile(lua_State *L);
int gl_io_input(lua_State *L);
int gl_io_output(lua_State *L);

#endif
