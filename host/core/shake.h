/* SPDX-License-Identifier: MIT
 *
 * Schedule fuzzing, for tests (green.debug): while it is on, tasks are switched at random instructions, and often where C
 * has just called Lua: what C code has looked at before such a call may have changed after it, and code that trusts it
 * all the same fails within seconds. Switches take the way of preemption (core/preempt.h), by a yield or by parking, and
 * are drawn from a seed: what does not depend on time or on the kernel goes the same way each time. Steps of the
 * collector come at random moments as well, and with them finalizers.
 *
 * While it is off, a step of a task costs one comparison.
 */
#ifndef GL_CORE_SHAKE_H
#define GL_CORE_SHAKE_H

#include <stdbool.h>

#include "core/host.h"

/* Begin, with a seed other than 0, or stop (0). The coroutine that runs is shaken at once, others when they are resumed. */
void gl_shake(lua_State *L, uint64_t seed);

/* `co` is about to run while h->shake is on: puts the hook there, unless the user has one. */
void gl_shake_arm(lua_State *co);

#endif
