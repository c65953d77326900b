/* SPDX-License-Identifier: MIT */
#ifndef GL_PROCESS_EXIT_H
#define GL_PROCESS_EXIT_H

#include <lua.h>

/* Replaces os.exit by one that may be called in a task. */
void gl_install_exit(lua_State *L);

#endif
