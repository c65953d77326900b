/* SPDX-License-Identifier: MIT */
#ifndef GL_IO_OSFILE_H
#define GL_IO_OSFILE_H

#include <lua.h>

/* os.remove, os.rename and os.tmpname on the pool, with the stock results. In finalizers they do it at once. */
void gl_install_osfile(lua_State *L);

#endif
