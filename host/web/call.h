/* SPDX-License-Identifier: MIT
 *
 * A call is the app's answering of one request: the user of an exchange (http/exchange.h) on a server. It has the task that
 * runs the handler, the ops with which tasks wait for the exchange, and says what becomes of both when the client leaves, the
 * time is over or the handler fails.
 *
 *     on_head --> RUNS --on_end, the handler has answered-----------------------------------> released
 *                  |                                                                            ^
 *                  '--on_end, the handler has failed--> fail --no on_error, or no time--> answered by us
 *                                                        '--hand_over--> RUNS `on_error`, on_end -'
 *
 * 1. `task` is not NULL from on_head until the exchange is released; the exchange is valid exactly so long.
 * 2. `req` is NULL until the task has made it, and req->x is NULL once the exchange is released: that is how Lua's half finds out.
 * 3. No function here that the carrier calls runs Lua; on_end runs Lua in protected calls only.
 */
#ifndef GL_WEB_CALL_H
#define GL_WEB_CALL_H

#include "core/op.h"
#include "http/exchange.h"

typedef struct gl_request gl_request;

typedef struct gl_call {
  gl_task *task;
  gl_request *req;
  gl_op *reader;             /* waits for the body */
  gl_op *writer;             /* waits for room in the output */
  int error_ref;             /* registry: what the task that answers a failure will take; 0 = none */
  bool body_busy;            /* a task reads the body, or was told to and did not yet */
  bool timed_out;            /* the time of the request is over: its task is being cancelled */
  bool failed;               /* the handler has failed: `task` is the one that answers this */
  bool cancel_on_disconnect; /* cancel the task when the client goes away */
  bool cancel_chosen;        /* somebody said so, or said no */
  bool deserted;             /* the client left, by the word of who took the stream over */
} gl_call;

/* The call of an exchange of a server of ours, and back. */
static inline gl_call *gl_call_of(gl_exchange *x) { return (gl_call *)(x + 1); }
static inline gl_exchange *gl_exchange_of(gl_call *call) { return (gl_exchange *)call - 1; }

extern const gl_exchange_user gl_call_user;

/* Cancels the task when the client goes away, also when it is gone already; or does not. */
void gl_call_set_cancel_on_disconnect(gl_exchange *x, bool cancel_on_disconnect);

/* The same for a task whose work is about its client, unless somebody said otherwise. */
void gl_call_default_cancel_on_disconnect(gl_exchange *x);

/* The same for the stream of a response; a `live` one is cancelled also when the client has said before that it will send no more. */
void gl_call_streams(gl_exchange *x, bool live);

#endif
