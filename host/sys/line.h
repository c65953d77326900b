/* SPDX-License-Identifier: MIT */
#ifndef GL_SYS_LINE_H
#define GL_SYS_LINE_H

#include <lua.h>

/* green.repl.native: read(prompt) -> a line of stdin without its newline; nil at its end. Waits. */
int gl_open_line(lua_State *L);

#endif
