/* SPDX-License-Identifier: MIT
 *
 * A C module's question to the system's resolver, asked on a thread of its own (core/resolver.h), while the task waits.
 */
#ifndef GL_LIBC_ASK_H
#define GL_LIBC_ASK_H

#include "core/resolver.h"
#include "libc/wait.h"

/* First member of a question. It owns all that its thread reads and writes: the thread may outlive the wait. */
typedef struct gl_ask {
  gl_question question;
  struct gl_ask_op *op; /* that waits for the answer */
  int status;           /* 0, or UV_E* = no thread was to be had */
  int error;            /* errno of the thread after the call */
} gl_ask;

/* Asks, about the host `name`, and waits; `a` was made by malloc, question.type is set. True: the answer is there, and `a` the
 * caller's again. False: the call must fail; errno is set, and `a` is freed, now or by the thread. */
bool gl_ask_and_wait(gl_layer *l, const gl_optype *type, gl_ask *a, const char *name);

/* The `answered` of a question's type. */
void gl_ask_answered(gl_question *q, int status);

/* Kinds of calls, for errors and for the inspector. */
extern const gl_optype gl_getaddrinfo_type, gl_getnameinfo_type, gl_gethostbyname_type, gl_gethostbyaddr_type;

#endif
