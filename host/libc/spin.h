/* SPDX-License-Identifier: MIT
 *
 * C code that spins: it tries again and again what does not wait (a poll without time, a descriptor with O_NONBLOCK), and is not back
 * in Lua meanwhile, where its slice would be ended. Such a call does not wait for as long as the slice lasts, and then it does, for a
 * moment; in a task that must end it fails with ECANCELED. It costs a comparison where nothing was found.
 *
 * And C code that is served: it receives or sends again and again, and each time there is something or there is room, as with a line of
 * some megabytes. Its calls make way as well once the slice has ended, or its deadline would not reach it.
 */
#ifndef GL_LIBC_SPIN_H
#define GL_LIBC_SPIN_H

#include "core/op.h"
#include "libc/layer.h"

/* A call that does not wait has found nothing, of a descriptor (or GL_NO_FD) of which `events` were hoped for. False: it must fail; errno
 * is set. True: its result stands, and errno is as it was. */
bool gl_spin_goes_on(const gl_optype *type, int fd, short events);

/* A call is about to receive from a descriptor, or to send on it (`events`). False: it must fail; errno is set. */
bool gl_spin_makes_way(gl_layer *l, const gl_optype *type, int fd, short events);

/* The same for the result of a call: `got`, or -1. */
static inline int gl_spin_result(int got, const gl_optype *type, int fd, short events) {
  return got != 0 || gl_spin_goes_on(type, fd, events) ? got : -1;
}

#endif
