/* SPDX-License-Identifier: MIT
 *
 * Lua that runs where no task can make way for others: what the host calls outside of tasks, on its main state (`__tostring` of an
 * error that is logged, what ends with a task, all that is closed at the end), and finalizers anywhere. It is bounded instead: after
 * GL_ALONE_MS of CPU time it is reported with the lines where it stands, and an error is raised in it, again and again until it ends.
 *
 *     UNKNOWN --the signal handler sets the hook; gl_alone_check: its time begins--> COUNTED --the time is up--> OVER
 *                                                                                       reported; an error is raised |
 *         the error is caught in it by pcall, or ends a coroutine in it: gl_alone_follow, and the next instruction <-+
 *         raises again                                                                                       <-------'
 *
 * The host brackets its calls with gl_alone_begin and gl_alone_end; in between it is in no task. Finalizers need no bracket: the
 * signal handler finds hooks off (core/allowhook.h). Each finalizer has its own time: the frame of one that was seen is marked
 * (gl_safepoint_finalizer).
 */
#ifndef GL_CORE_ALONE_H
#define GL_CORE_ALONE_H

#include <stdbool.h>

#include "core/host.h"

#define GL_ALONE_MS 100

/* What ran before. */
typedef struct gl_alone {
  lua_State *running;
  gl_task *task;
} gl_alone;

/* Call on a new state, before anything with a finalizer is made. False: out of memory. */
bool gl_alone_init(lua_State *L);

/* Calls lua_close on h->L. After the last finalizer the watchdog does not look at it any more. */
void gl_alone_close(gl_host *h);

/* From here on the host runs Lua on its main state. Outside of a step, call gl_pulse_wake before. */
gl_alone gl_alone_begin(gl_host *h);

/* Goes on with what ran before. */
void gl_alone_end(gl_host *h, gl_alone before);

/* Does L run where no task can make way? Safe in a signal handler. */
bool gl_alone_is(const gl_host *h, lua_State *L);

/* In the preemption's hook, or in a loop in C, on L for which gl_alone_is: raises if the time is up, and otherwise sets that hook for
 * another look. */
void gl_alone_check(lua_State *L, gl_host *h);

/* A call in C on L has failed, that of the coroutine `co` if that is not NULL, and L goes on: if what failed is over its time, so is
 * what runs on L. */
void gl_alone_follow(lua_State *L, const lua_State *co);

#endif
