/* SPDX-License-Identifier: MIT
 *
 * Attempts of a call that would block, until one succeeds: each attempt is libc's own call without waiting, and between two of them
 * the task waits for the descriptor.
 */
#ifndef GL_LIBC_ATTEMPT_H
#define GL_LIBC_ATTEMPT_H

#include "libc/wait.h"

typedef struct gl_attempt {
  gl_layer *layer;
  const gl_optype *type;
  int fd;
  short events;  /* what the descriptor must be ready for */
  int option;    /* SO_RCVTIMEO or SO_SNDTIMEO: what limits the wait */
  int tries;     /* attempts in a row that found nothing, though the descriptor was ready; */
  bool at_once;  /* the call must not wait, whatever the descriptor's O_NONBLOCK says: MSG_DONTWAIT */
  bool waits;    /* it has waited, */
  uint64_t due;  /* and may wait until then, ns; 0 = for ever */
} gl_attempt;

/* Begins a call. False: it must fail before it does anything, errno is set: ECONNRESET when it wants to read from a connection that is lost
 * (libc/abandon.h). Waits while the descriptor is in the middle of another task's call (libc/hold.h), and for a moment in C code that has used
 * up its slice (libc/spin.h). */
bool gl_attempt_begin(gl_attempt *a, gl_layer *l, const gl_optype *type, int fd, short events);

/* The last attempt has failed with the errno that is set. True: waited, try again; false: the call is over, with the errno that is set now.
 * Only EAGAIN of a descriptor without O_NONBLOCK is waited for. */
bool gl_attempt_again(gl_attempt *a);

/* The same, though the attempt has not failed: it has done a part. */
bool gl_attempt_go_on(gl_attempt *a);

#endif
