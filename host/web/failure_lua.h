/* SPDX-License-Identifier: MIT
 *
 * The error of a handler as an answer: the status and the text for the client, and the arguments of the app's on_error.
 */
#ifndef GL_WEB_FAILURE_LUA_H
#define GL_WEB_FAILURE_LUA_H

#include "core/task.h"

#define GL_OVERTIME "the request took too long"
#define GL_INTERNAL "internal server error"

typedef struct gl_failure {
  int status;       /* for the client; of 500 and above the cause is logged */
  bool cut;         /* the handler was cancelled, or could not send as its peer had left */
  char reason[256]; /* the text for the client */
} gl_failure;

/* Reads the failure out of the error that a task ended with; without memory for that, it is 500. Never raises. */
void gl_failure_read(gl_task *t, gl_failure *f);

/* Keeps a call of on_error of the dispatch (registry) as { on_error, request, status, reason, error }, since the task that failed is
 * about to go. Returns the table's reference in the registry; 0: there is no such function, or no memory. Never raises. */
int gl_failure_keep(gl_task *t, int dispatch, const gl_failure *f);

/* Adds `failure` and `refusal` to the table on top. */
void gl_failure_functions(lua_State *L);

#endif
