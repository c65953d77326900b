/* SPDX-License-Identifier: MIT
 *
 * Alarms of the library: a function that is called at some later time by a task of its own, and that keeps neither the program nor
 * itself alive until then. An alarm that is collected never goes off.
 */
#ifndef GL_SYS_ALARM_H
#define GL_SYS_ALARM_H

#include <lua.h>

/* new(fn) -> alarm. alarm:set(seconds) sets it, or moves it. The task inherits nothing from whoever has set it. */
int luaopen_green_alarm(lua_State *L);

#endif
