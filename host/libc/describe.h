/* SPDX-License-Identifier: MIT
 *
 * Who waits in which call, for people: "127.0.0.1:5432 (luasql/postgres.so)", "localhost (socket/core.so)".
 */
#ifndef GL_LIBC_DESCRIBE_H
#define GL_LIBC_DESCRIBE_H

#include "core/host.h"

typedef struct gl_call {
  int fd;               /* the descriptor, of several the first one; -1 = none */
  const char *name;     /* the host that it asks about; NULL = none */
  lua_CFunction caller; /* the C function that Lua has called; NULL = it is not known */
} gl_call;

/* Notes what the running task does. Allocates nothing. */
void gl_call_note(gl_call *c, gl_host *h, int fd);

/* Writes the other end of the descriptor or the name, and the module. */
void gl_call_describe(const gl_call *c, char *out, size_t size);

#endif
