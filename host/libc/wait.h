/* SPDX-License-Identifier: MIT
 *
 * A wait below C code that knows nothing of tasks: the task parks. How it ends:
 *
 *     READY      something is to be seen on one of the descriptors: look again
 *     TIMEOUT    the time of the call itself is over
 *     CLOSED     another task has closed one of the descriptors
 *     FAILED     the call must fail; errno says how: ECANCELED when the task must end (its own error is raised as soon as the C code is
 *                back in Lua), EAGAIN in a finalizer, ENOMEM when no C stack or no memory is to be had
 *
 * What a thread owns and a task does not is the task's again afterwards: errno, h_errno, OpenSSL's queue of errors.
 */
#ifndef GL_LIBC_WAIT_H
#define GL_LIBC_WAIT_H

#include "core/op.h"
#include "libc/layer.h"
#include "libc/watch.h"

typedef enum gl_waited { GL_WAITED_READY, GL_WAITED_TIMEOUT, GL_WAITED_CLOSED, GL_WAITED_FAILED } gl_waited;

/* Waits until one of the `n` watches, of which fd and events are set, is ready, or until `due`, ns (0 = no end). `type` is the kind
 * of the call. */
gl_waited gl_wait(gl_layer *l, const gl_optype *type, gl_watch *watches, size_t n, uint64_t due);

/* The same for one descriptor. */
gl_waited gl_wait_for(gl_layer *l, const gl_optype *type, int fd, short events, uint64_t due);

/* What a thread owns and a task does not, while the task waits. */
typedef struct gl_kept {
  int error, host_error; /* errno, h_errno */
  struct gl_sslerrors *ssl;
} gl_kept;

/* Around a wait by an op of the caller's own: may the task wait? False: the call must fail; errno is set. Not in a finalizer. */
bool gl_wait_enter(gl_layer *l, const gl_optype *type, gl_kept *kept);

/* And after it: gives back what was kept, and says how the wait has ended; `outcome` is what gl_op_wait has returned. */
gl_waited gl_wait_leave(gl_layer *l, const gl_optype *type, gl_kept *kept, int outcome);

/* Makes a call in a finalizer fail: it would have to wait for longer than anybody can be held up. */
gl_waited gl_wait_refuse(const gl_optype *type);

/* Pauses for `ms` milliseconds, whether the task must end or not; blocks the thread where the task cannot park. */
void gl_wait_pause(gl_layer *l, const gl_optype *type, int ms);

/* Waits for `ms` milliseconds before another attempt, for what no descriptor tells of; not beyond `due`, where TIMEOUT is returned. */
gl_waited gl_wait_again(gl_layer *l, const gl_optype *type, int ms, uint64_t due);

/* Must the call fail, before it does anything, since the task's C code has an object that another task's C code is in the middle
 * of? Sets errno then. */
bool gl_wait_is_barred(gl_layer *l, const gl_optype *type);

/* When `ms` milliseconds from now are over, for gl_wait; 0 for negative ones. */
uint64_t gl_wait_until(int ms);

/* The kinds of calls, for errors and for the inspector. */
extern const gl_optype gl_accept_type, gl_connect_type, gl_epoll_type, gl_poll_type, gl_read_type, gl_recv_type, gl_select_type, gl_send_type,
  gl_sleep_type, gl_system_type, gl_waitpid_type, gl_write_type;

/* What a call in a finalizer may block, ms. */
#define GL_FINALIZER_MS 100

#endif
