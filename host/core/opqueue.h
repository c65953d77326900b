/* SPDX-License-Identifier: MIT
 *
 * Queues of ops that wait for the same thing, first come, first served. An op may leave from the middle, at the same cost
 * however many wait. Zeroed memory is an empty queue.
 */
#ifndef GL_CORE_OPQUEUE_H
#define GL_CORE_OPQUEUE_H

#include "core/op.h"
#include "core/task.h"

/* Does a task of this forked child's parent wait for it? */
static inline bool gl_op_is_foreign(const gl_op *op) { return op->task && gl_task_is_foreign(op->task); }

/* Adds an op, which is in no queue, to the end. */
static inline void gl_opqueue_push(gl_opqueue *q, gl_op *op) {
  op->next = NULL;
  op->prev = q->tail;
  if (q->tail) q->tail->next = op;
  else q->head = op;
  q->tail = op;
}

/* Out of the queue, which it is in. */
static inline void gl_opqueue_remove(gl_opqueue *q, gl_op *op) {
  if (op->prev) op->prev->next = op->next;
  else q->head = op->next;
  if (op->next) op->next->prev = op->prev;
  else q->tail = op->prev;
}

/* The first one, out of the queue; NULL when it is empty. In a forked child nothing is done for a task of its parent's: what
 * one of those waited for goes to the next. */
static inline gl_op *gl_opqueue_take(gl_opqueue *q) {
  for (gl_op *op; (op = q->head) != NULL;) {
    gl_opqueue_remove(q, op);
    if (!gl_op_is_foreign(op)) return op;
  }
  return NULL;
}

/* Empties the queue: all ops in it are done with this status. */
static inline void gl_opqueue_finish(gl_opqueue *q, int status) {
  for (gl_op *op; (op = gl_opqueue_take(q)) != NULL;) gl_op_done(op, status);
}

/* The `cancel` of an optype whose ops only wait in a queue: removes the op, which is done then. */
static inline void gl_opqueue_cancel(gl_opqueue *q, gl_op *op) {
  gl_opqueue_remove(q, op);
  gl_op_done(op, UV_ECANCELED);
}

#endif
