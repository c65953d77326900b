/* SPDX-License-Identifier: MIT
 *
 * Faults to order, for tests (green.debug): the n-th wait from now of the running task is interrupted, or the n-th
 * allocation refused. One task at a time; nothing is paid while there is none.
 */
#ifndef GL_CORE_FAULT_H
#define GL_CORE_FAULT_H

#include "core/host.h"

/* Interrupt the running task in its n-th wait (0 = no more), as GL_CANCELLED or GL_DEADLINE_EXCEEDED. How many were still to go. */
uint32_t gl_fault_wait(gl_host *h, uint32_t n, int outcome);

/* Refuse the running task its n-th allocation (0 = no more), and once more when Lua asks again after it has collected
 * garbage. How many were still to go. */
uint32_t gl_fault_alloc(gl_host *h, uint32_t n);

/* The task is in its wait, `t->op`: interrupts it when it is time. */
void gl_fault_in_wait(gl_task *t);

/* Are allocations to be asked about? */
bool gl_fault_is_armed(const gl_host *h);

/* Is this allocation one to refuse? `again`: whoever asks will ask once more. */
bool gl_fault_refuses(gl_host *h, size_t bytes, bool again);

/* The task ended. */
void gl_fault_forget(gl_host *h, const gl_task *t);

#endif
