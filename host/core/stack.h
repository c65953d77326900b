/* SPDX-License-Identifier: MIT
 *
 * C stacks, and the hop between them. core/park.h draws how tasks use them.
 *
 *                       gl_stack_take, gl_stack_hop
 *     (mapped) -------------------> CURRENT <------------------- IDLE (on h->idle)
 *        new: h->drive begins       |     |                        ^
 *                     gl_stack_hop  |     |  gl_stack_hop_idle     |
 *                     (leave_stack) v     '------------------------'
 *                                 PARKED (some task's `stack`): gl_stack_hop_idle of another makes it CURRENT again
 */
#ifndef GL_CORE_STACK_H
#define GL_CORE_STACK_H

#include "core/host.h"

/* Makes the stack that the caller stands on the home of the host, where gl_host_run returns. False: out of memory. */
bool gl_stack_init(gl_host *h);

/* Takes a stack to go on with: an idle one, or a new one whose first frame is h->drive. The caller must hop to it.
 * NULL: none is to be had (memory, mappings, or more than max_parked). */
gl_stack *gl_stack_take(gl_host *h);

/* Leaves the current stack standing and continues on `to`. Returns when somebody hops back. */
void gl_stack_hop(gl_host *h, gl_stack *to);

/* Hops to `to` from a stack with nothing but a driver on it, and keeps that stack as idle. Returns when it is taken again. */
void gl_stack_hop_idle(gl_host *h, gl_stack *to);

/* Takes the home stack, which is idle, off the idle list. */
void gl_stack_take_home(gl_host *h);

/* Unmaps all idle stacks. */
void gl_stack_free_idle(gl_host *h);

#endif
