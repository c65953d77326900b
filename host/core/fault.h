/* SPDX-License-Identifier: MIT
 *
 * Faults that a test orders (green.debug): the n-th wait from now of the running task is interrupted, or its n-th
 * allocation refused. One task at a time may order each kind; without an order a wait costs one comparison.
 */
#ifndef GL_CORE_FAULT_H
#define GL_CORE_FAULT_H

#include "core/host.h"

/* Orders that the running task be interrupted in its n-th wait (0 = no more), by GL_CANCELLED or GL_DEADLINE_EXCEEDED. Returns
 * how many waits of its previous order were still to go. */
uint32_t gl_fault_wait(gl_host *h, uint32_t n, int outcome);

/* Orders that the running task be refused its n-th allocation (0 = no more), and once more when Lua asks again after it has
 * collected garbage. The caller sets the edge then (gl_memory_set_edge). Returns how many allocations of its previous
 * order were still to go. */
uint32_t gl_fault_alloc(gl_host *h, uint32_t n);

/* Counts a wait of the task that has just begun. True: the wait is the ordered one; the task is cancelled or past its deadline now,
 * and the wait must end, unless a shield holds. */
bool gl_fault_in_wait(gl_task *t);

/* Must the allocator ask gl_fault_refuses? */
bool gl_fault_is_armed(const gl_host *h);

/* Counts an allocation of so many bytes, if it is the ordering task's. True: the allocation must be refused. `again`: the caller will
 * ask for the same bytes once more, and is refused then, too. */
bool gl_fault_refuses(gl_host *h, size_t bytes, bool again);

/* Drops the orders of a task that has ended. True: the edge must be set (gl_memory_set_edge). */
bool gl_fault_forget(gl_host *h, const gl_task *t);

#endif
