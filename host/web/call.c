/* SPDX-License-Identifier: MIT */
#include "web/call.h"

#include <stdio.h>

#include "core/cancel.h"
#include "core/task.h"
#include "http/failure.h"
#include "web/failure_lua.h"
#include "web/request.h"
#include "web/server_lua.h"

static void on_end(gl_task *t, int status, int nresults);

static void wake(gl_op **slot, int status) {
  gl_op *op = *slot;
  if (!op) return;
  *slot = NULL;
  gl_op_done(op, status);
}

/* ---- failures ---- */

/* Names the request in the log: "GET /orders [5f1c...]", with the id that req.id has. */
static const char *describe(const gl_request *r, char *out, size_t size) {
  if (!r) return "request";
  size_t method_len;
  const char *method = gl_request_method(r, &method_len);
  int n = (int)(r->path_len > 200 ? 200 : r->path_len);
  char id[GL_REQ_ID_MAX];
  gl_request_name(r, id);
  snprintf(out, size, "%.*s %.*s [%s]", (int)method_len, method, n, gl_request_text(r), id);
  return out;
}

bool gl_call_about(const gl_task *t, gl_about *out) {
  const gl_exchange *x = t->on_end == on_end ? t->owner : NULL;
  const gl_request *r = x ? gl_call_of((gl_exchange *)x)->req : NULL;
  if (!r) return false;
  size_t n;
  char id[GL_REQ_ID_MAX];
  _Static_assert(sizeof out->peer >= GL_ADDRESS_MAX && sizeof out->request >= GL_REQ_ID_MAX, "they fit");
  const char *method = gl_request_method(r, &n);
  snprintf(out->method, sizeof out->method, "%.*s", (int)n, method);
  snprintf(out->path, sizeof out->path, "%.*s", (int)r->path_len, gl_request_text(r));
  gl_request_name(r, id);
  snprintf(out->request, sizeof out->request, "%s", id);
  if (!gl_request_peer(r, out->peer)) *out->peer = 0;
  return true;
}

static void answer_failure(gl_exchange *x, int status, const char *reason, bool close) {
  const gl_request *r = gl_call_of(x)->req;
  size_t n = 0;
  const char *accept = r ? gl_request_header(r, "accept", &n) : NULL;
  gl_failure_send(x, gl_text_of(accept ? accept : "", n), status, reason, close);
}

/* Finds out what the client is told of the failure, unless the app's on_error answers. */
static void find_out(gl_exchange *x, gl_failure *f) {
  gl_call *call = gl_call_of(x);
  *f = (gl_failure){.status = 503};
  if (call->timed_out) snprintf(f->reason, sizeof f->reason, "%s", GL_OVERTIME);
  else if (!call->req) snprintf(f->reason, sizeof f->reason, "not enough memory"); /* the task did not even begin */
  else gl_failure_read(call->task, f);
}

static bool run(gl_exchange *x, lua_CFunction main, bool now) {
  gl_web_server *s = x->context;
  gl_task *t = gl_task_start(s->server.host, main, x, on_end, now);
  if (!t) return false;
  gl_budget_limit_new(t, s->server.limits.cpu_limit, s->server.limits.max_tasks);
  gl_call_of(x)->task = t;
  return true;
}

static void drop_failure(gl_exchange *x) {
  gl_call *call = gl_call_of(x);
  gl_web_server *s = x->context;
  if (call->error_ref) luaL_unref(s->server.host->L, LUA_REGISTRYINDEX, call->error_ref);
  call->error_ref = 0;
}

/* Leaves the answer to the app's on_error, in a task of its own, since the task that failed may have no time left. False: there is no
 * such function, or no memory to run it. */
static bool hand_over(gl_exchange *x, const gl_failure *f) {
  gl_call *call = gl_call_of(x);
  gl_web_server *s = x->context;
  call->error_ref = gl_failure_keep(call->task, s->dispatch, f);
  if (!call->error_ref) return false;
  call->failed = true;
  call->timed_out = false;
  x->carrier->renew(x);
  if (run(x, gl_request_failed_main, true)) return true;
  drop_failure(x);
  return false;
}

/* Was the handler cut short because the client left, so that the failure is not to be logged? */
static bool is_excused(gl_exchange *x, const gl_failure *f, bool left) {
  return f->cut && (x->takeover ? x->takeover->excuses(x->proto) : left);
}

/* Answers in the place of a task that failed, and logs a failure that the client is not told. True: the app's on_error answers, in
 * another task. */
static bool fail(gl_exchange *x, gl_task *t) {
  gl_failure f;
  char what[512];
  gl_call *call = gl_call_of(x);
  find_out(x, &f);
  bool left = !x->carrier->is_open(x) || (x->eof && call->cancel_on_disconnect);
  bool late = x->out == GL_OUT_BODY && !x->carrier->take_back(x); /* another status has left already */
  if ((f.status >= 500 || late) && !is_excused(x, &f, left)) gl_task_log_error(t, describe(call->req, what, sizeof what));
  if (x->out == GL_OUT_HEAD) {
    if (call->failed) f = (gl_failure){.status = 500, .reason = GL_INTERNAL}; /* the app's on_error failed, too */
    else if (call->req && !left && hand_over(x, &f)) return true;
    answer_failure(x, f.status, f.reason, !call->req);
  } else if (x->out == GL_OUT_BODY) {
    x->carrier->cut(x); /* a truncated response must not look whole */
  }
  return false;
}

static void on_end(gl_task *t, int status, int nresults) {
  (void)nresults;
  if (t->forked) return; /* the task is a forked child's, and the connection the parent's */
  gl_exchange *x = t->owner;
  gl_call *call = gl_call_of(x);
  drop_failure(x); /* a task that found no memory to begin has not taken its arguments */
  if (status != LUA_OK && fail(x, t)) return;
  wake(&call->reader, UV_ECANCELED); /* ops of other tasks, for which the answer did not wait */
  wake(&call->writer, UV_ECANCELED);
  if (call->req) call->req->x = NULL;
  gl_fields_free(&call->trailers);
  *call = (gl_call){0};
  x->carrier->release(x, status != LUA_OK);
}

/* ---- what the carrier tells ---- */

static bool on_head(gl_exchange *x, bool now) {
  gl_web_server *s = x->context;
  gl_call *call = gl_call_of(x);
  *call = (gl_call){.cancel_on_disconnect = s->cancel_on_disconnect, .cancel_chosen = s->cancel_chosen};
  s->requests++;
  if (!run(x, gl_request_main, now)) return false;
  call->task->graced = true;
  return true;
}

static void on_body(gl_exchange *x, int status) { wake(&gl_call_of(x)->reader, status); }

static void on_room(gl_exchange *x, int status) { wake(&gl_call_of(x)->writer, status); }

static void on_gone(gl_exchange *x, int status) {
  gl_call *call = gl_call_of(x);
  call->deserted = true;
  if (call->cancel_on_disconnect) gl_task_cancel(call->task);
  if (status != UV_EOF) wake(&call->writer, UV_EPIPE);
}

static void on_late(gl_exchange *x) {
  gl_call *call = gl_call_of(x);
  if (x->out == GL_OUT_BODY || call->timed_out) return; /* a stream may take as long as it likes: the write clock watches it */
  call->timed_out = true;
  call->task->trace_cancel = true;
  gl_task_cancel(call->task);
}

static void on_abort(gl_exchange *x) {
  gl_call *call = gl_call_of(x);
  wake(&call->writer, UV_ECONNABORTED);
  gl_task_cancel(call->task);
}

const gl_exchange_user gl_call_user = {sizeof(gl_call), on_head, on_body, on_room, on_gone, on_late, on_abort};

/* ---- the client goes away ---- */

void gl_call_set_cancel_on_disconnect(gl_exchange *x, bool cancel_on_disconnect) {
  gl_call *call = gl_call_of(x);
  bool gone = x->takeover ? call->deserted : x->eof || !x->carrier->is_open(x);
  call->cancel_on_disconnect = cancel_on_disconnect;
  call->cancel_chosen = true;
  if (cancel_on_disconnect && gone) gl_task_cancel(call->task);
}

void gl_call_default_cancel_on_disconnect(gl_exchange *x) {
  gl_call *call = gl_call_of(x);
  if (!call->cancel_chosen) call->cancel_on_disconnect = true;
}

void gl_call_streams(gl_exchange *x, bool live) {
  gl_call_default_cancel_on_disconnect(x);
  if (live && gl_call_of(x)->cancel_on_disconnect && x->eof) gl_task_cancel(gl_call_of(x)->task);
}
