/* SPDX-License-Identifier: MIT
 *
 * C stacks, and the hop between them. A task that cannot yield (a sort comparator, a module being
 * required) is parked: the C stack it stands on is left as it is, and the driver goes on on an idle
 * one. To wake it, the driver hops back; the stack just left becomes the idle one.
 *
 *     stack A: driver -> lua_resume -> sort -> comparator -> gl_await   (left standing)
 *     stack B: driver -> lua_resume -> ...                              (goes on)
 */
#ifndef GL_CORE_STACK_H
#define GL_CORE_STACK_H

#include "core/host.h"

/* Describes the stack the caller stands on as the host's home. False: out of memory. */
bool gl_stack_init(gl_host *h);

/* A stack to go on with: an idle one, or a new one whose first frame is gl_host_drive. The caller
 * must hop to it. NULL: none can be had (memory, mappings, or more than max_parked). */
gl_stack *gl_stack_take(gl_host *h);

/* Leave the current stack standing and continue on `to`. Returns when somebody hops back. */
void gl_stack_hop(gl_host *h, gl_stack *to);

/* The current stack's driver has nothing left on it: hop to `to` and keep this one as idle. */
void gl_stack_hop_idle(gl_host *h, gl_stack *to);

/* Home is idle and wanted: take it off the idle list. */
void gl_stack_take_home(gl_host *h);

/* Unmaps all idle stacks. */
void gl_stack_free_idle(gl_host *h);

#endif
