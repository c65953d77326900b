/* SPDX-License-Identifier: MIT */
#ifndef GL_CORE_INSPECT_H
#define GL_CORE_INSPECT_H

#include "core/host.h"

/* List every live task on stderr: age, state, what it waits for, where. Calls no Lua that could raise. */
void gl_inspect_print(const gl_host *h);

/* green.debug: tasks(), preempted(), report_stalls(on), census() -> { tasks=, ops=, handles=, parked=, pins= }, what is alive now. */
int gl_open_debug(lua_State *L);

#endif
