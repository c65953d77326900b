/* SPDX-License-Identifier: MIT */
#ifndef GL_IO_CHUNK_H
#define GL_IO_CHUNK_H

#include <lua.h>

/* Puts the waiting versions of loadfile, dofile, package.searchpath and require's search for Lua files in the place of the
 * stock ones. Same results and texts. In finalizers the stock ones do the work. Raises. */
void gl_install_chunk(lua_State *L);

#endif
