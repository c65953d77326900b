/* SPDX-License-Identifier: MIT
 *
 * A call is the app's answering of one request: the user of an exchange (message/exchange.h) on a server. A call has the task that
 * runs the handler and the ops with which tasks wait for the exchange, and decides what becomes of both when the client leaves,
 * the time is over or the handler fails.
 *
 *     on_head --> RUNS --on_end, the handler has answered-----------------------------------> released
 *                  |                                                                            ^
 *                  '--on_end, the handler has failed--> fail --no on_error, or no time--> answered by us
 *                                                        '--hand_over--> RUNS `on_error`, on_end -'
 *
 * 1. `task` is not NULL from on_head until the exchange is released; the exchange is valid exactly so long.
 * 2. `req` is NULL until the task has made the request; req->x is NULL once the exchange is released: so the methods of the request,
 *    which scripts may keep, find out.
 * 3. No function here that the carrier calls runs Lua; on_end runs Lua in protected calls only. None raises or waits.
 */
#ifndef GL_WEB_CALL_H
#define GL_WEB_CALL_H

#include "core/inspect.h"
#include "core/op.h"
#include "message/exchange.h"

typedef struct gl_request gl_request;

typedef struct gl_call {
  gl_task *task;
  gl_request *req;
  gl_op *reader;             /* waits for the body */
  gl_op *writer;             /* waits for room in the output */
  gl_fields trailers;        /* of the response, a copy */
  uint8_t hints;             /* interim responses that were sent */
  int error_ref;             /* registry: arguments for the task that answers a failure, until it takes them; 0: none */
  bool body_busy;            /* a task waits for the body, or was woken and has not taken the body yet */
  bool timed_out;            /* the time of the request is over: its task is being cancelled */
  bool failed;               /* the handler has failed, and `task` answers the failure */
  bool cancel_on_disconnect; /* cancel the task when the client goes away */
  bool cancel_chosen;        /* an option or the script has set cancel_on_disconnect */
  bool deserted;             /* `gone` was told: the client left, or sends nothing more */
} gl_call;

/* Return the call of an exchange of a server of ours, and the exchange of a call. */
static inline gl_call *gl_call_of(gl_exchange *x) { return (gl_call *)(x + 1); }
static inline gl_exchange *gl_exchange_of(gl_call *call) { return (gl_exchange *)call - 1; }

extern const gl_exchange_user gl_call_user;

/* Tells about the request whose task this is (gl_inspect_requests). False: it is the task of none, or of one that has not begun. */
bool gl_call_about(const gl_task *t, gl_about *out);

/* Sets whether the task is cancelled when the client goes away; cancels it now if the client is gone already. */
void gl_call_set_cancel_on_disconnect(gl_exchange *x, bool cancel_on_disconnect);

/* Sets that the task is cancelled when the client goes away, as its work is for the client alone, unless an option or the script has
 * set something else. */
void gl_call_default_cancel_on_disconnect(gl_exchange *x);

/* Does the same as a response begins to stream. A `live` stream (of events) is cancelled also when the client has ended its side
 * before. */
void gl_call_streams(gl_exchange *x, bool live);

#endif
