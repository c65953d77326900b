/* SPDX-License-Identifier: MIT
 *
 * What becomes of an error of a handler: the status and the text for the client, and what the app's function for failures
 * is called with.
 */
#ifndef GL_WEB_FAILURE_LUA_H
#define GL_WEB_FAILURE_LUA_H

#include "core/task.h"

#define GL_OVERTIME "the request took too long"
#define GL_INTERNAL "internal server error"

typedef struct gl_failure {
  int status;       /* 500: the cause is for us to hide and to log */
  bool cut;         /* the handler was cancelled, or could not send */
  char reason[256]; /* what the client is told */
} gl_failure;

/* Reads the failure out of the error that a task ended with. Never raises. */
void gl_failure_read(gl_task *t, gl_failure *f);

/* Keeps what `on_error` of the dispatch (registry) is called with, as the task that failed is about to go: { on_error, request, status,
 * reason, error }. Returns its reference; 0: there is no such function, or no memory. Never raises. */
int gl_failure_keep(gl_task *t, int dispatch, const gl_failure *f);

/* Adds `failure` and `refusal` to the table on top. */
void gl_failure_functions(lua_State *L);

#endif
