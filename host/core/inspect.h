/* SPDX-License-Identifier: MIT
 *
 * What every task is doing, for the person at the terminal (SIGUSR1) and for scripts (green.debug).
 */
#ifndef GL_CORE_INSPECT_H
#define GL_CORE_INSPECT_H

#include "core/host.h"

/* What the request of a task is. Longer texts are cut. */
typedef struct gl_about {
  char method[32], path[256];
  char request[160]; /* req.id */
  char peer[160];    /* req.remote; "" = it is gone */
} gl_about;

/* Sets the function that tells about the task of a request; it returns false for a task that is none. */
void gl_inspect_requests(gl_host *h, bool (*about)(const gl_task *t, gl_about *out));

/* Lists every live task on stderr: age, state, what it waits for, where, CPU time, slices it was cut at, and its request; before them how many
 * are ready, by queue, and since when the first of them. Calls no Lua that could raise. */
void gl_inspect_print(const gl_host *h);

/* Makes SIGUSR1 print that list, at the end of a turn. Without memory SIGUSR1 keeps its default. */
void gl_inspect_start(gl_host *h);

/* Stops listening for SIGUSR1; call before gl_host_close. */
void gl_inspect_stop(gl_host *h);

/* green.debug: census() -> { tasks=, ops=, handles=, parked=, pins= }, what is alive now; memory() -> { used=, held=, limit= };
 * tasks(), cancel(id), coroutine(id), preempted(), report_stalls(on); for tests cancel_at(n [, how]), fail_alloc(n) and shake(seed). */
int luaopen_green_debug(lua_State *L);

#endif
