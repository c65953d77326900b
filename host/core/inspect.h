/* SPDX-License-Identifier: MIT */
#ifndef GL_CORE_INSPECT_H
#define GL_CORE_INSPECT_H

#include "core/host.h"

/* List every live task on stderr: age, state, what it waits for, where. Calls no Lua that could raise. */
void gl_inspect_print(const gl_host *h);

/* From now on SIGUSR1 does that, at the end of a turn. */
void gl_inspect_start(gl_host *h);

/* No more. Before gl_host_close. */
void gl_inspect_stop(gl_host *h);

/* green.debug: census() -> { tasks=, ops=, handles=, parked=, pins= }, what is alive now; memory() -> { used=, held=, limit= };
 * tasks(), preempted(), report_stalls(on); for tests cancel_at(n [, how]), fail_alloc(n) and shake(seed). */
int luaopen_green_debug(lua_State *L);

#endif
