/* SPDX-License-Identifier: MIT
 *
 * An exchange: a task has sent on a descriptor, and receives what answers it, in as many calls as that takes. Blocking code shares
 * a connection without a lock, since nothing runs between its `send` and its `receive`. So each call is whole (libc/hold.h), and
 * so are all calls of an exchange: another task does not get the object in between, though the task is preempted there, or
 * others have waited for the object for longer than its next call has.
 *
 *                send                      receive
 *     NONE ----------------> UNREAD <-----------------> READ
 *      ^                       |          send            |
 *      |                       |                          |
 *      '-----------------------'--------------------------'
 *        the task waits for anything but this descriptor, closes it, sends on another one, or ends;
 *        it computes for longer than UNREAD_US or READ_US: preempted meanwhile, it keeps the object until then;
 *        in READ, while others wait for the object: it calls a C function that has begun with sending before, which is its next
 *        exchange; or what it receives has let it wait for so long (MESSAGE_NS) that it is a message of its own
 *
 * When an error that ends or interrupts the task is raised at it while its answer is unread, the connection is abandoned
 * (libc/abandon.h). So it is when the exchange has ended by a wait for something else, or a long computation, before the answer was read:
 * the answer is OWED to the task then, until the task receives on the descriptor, closes it, sends on another one, or ends, or until a task
 * receives there that has asked nothing itself, and so reads what others are answered.
 *
 * A task has one exchange at most. It ends at any wait for something else, so nobody waits for a task that waits for him.
 */
#ifndef GL_LIBC_EXCHANGE_H
#define GL_LIBC_EXCHANGE_H

#include "libc/layer.h"

/* The running task reaches for an object, as C code does at the beginning of a call. */
static inline void gl_exchange_reach(gl_layer *l, const void *object) {
  l->reached = object;
  l->reacher = l->host->task;
  l->reaches_first = true;
}

/* The running task is about to send on a descriptor, with the object that it has reached last. */
void gl_exchange_send(gl_layer *l, int fd);

/* It is about to receive from one. */
void gl_exchange_listen(gl_layer *l, int fd);

/* It has received from one, or found the end of the stream. */
void gl_exchange_receive(gl_layer *l, int fd);

/* Descriptors first..last are about to be closed by the running task. */
void gl_exchange_close(gl_layer *l, unsigned int first, unsigned int last);

/* Does the running task go on with its exchange on this object, before others who wait for it? L runs the C function that reaches
 * for it; NULL: unknown. */
bool gl_exchange_goes_on(const gl_layer *l, lua_State *L, const void *object);

/* Sets what the host calls. */
void gl_exchange_start(gl_host *h);
void gl_exchange_stop(gl_layer *l);

#endif
