/* SPDX-License-Identifier: MIT
 *
 * Schedule fuzzing, for tests (--shake, and green.debug). While it is on, tasks are switched at random instructions, and often where C has just
 * called Lua: what C code has looked at before such a call may have changed after the call, and code that does not look again
 * fails within seconds. Tasks are switched as preemption does it, by a yield or by parking, at moments drawn from a seed: a run
 * that depends neither on time nor on the kernel repeats. Collector steps, and with them finalizers, come at random moments as
 * well.
 *
 * While it is off, a step of a task costs one comparison.
 */
#ifndef GL_CORE_SHAKE_H
#define GL_CORE_SHAKE_H

#include <stdbool.h>

#include "core/host.h"

/* Begins to shake, with a seed other than 0, or stops (0). L gets the hook at once, other coroutines when they are resumed. */
void gl_shake(lua_State *L, uint64_t seed);

/* For --shake: begins to shake all tasks before any has run, and remembers the seed. */
void gl_shake_all(gl_host *h, uint64_t seed);

/* Tells on stderr how to shake the same way again: the process, which --shake was for, has failed. No-op without that option. */
void gl_shake_tell(const gl_host *h);

/* Sets the hook on `co`, which is about to run while h->shake is on, unless the script has set one. */
void gl_shake_arm(lua_State *co);

/* Lets all other ready tasks run, now and then, while h->shake is on: for loops in C (gl_preempt_check). True: it has. */
bool gl_shake_loop(lua_State *L);

#endif
