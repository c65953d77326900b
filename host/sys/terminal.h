/* SPDX-License-Identifier: MIT
 *
 * The terminal as a prompt needs it: keys as they come, a picture of the prompt that gets out of the way of what others
 * print, and Ctrl-C for what a line has started. For lualib/green/repl alone.
 */
#ifndef GL_SYS_TERMINAL_H
#define GL_SYS_TERMINAL_H

#include <lua.h>

/* green.repl.native */
int luaopen_green_repl(lua_State *L);

#endif
