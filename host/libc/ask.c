/* SPDX-License-Identifier: MIT */
#include "libc/ask.h"

#include <errno.h>

#include "core/task.h"
#include "libc/describe.h"

/* ---- the op ---- */

typedef struct gl_ask_op {
  gl_op op;
  gl_ask *ask; /* NULL once it was answered or dropped */
  gl_call call;
} gl_ask_op;

static int push_ask(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void free_ask(gl_op *op) {
  gl_ask_op *w = (gl_ask_op *)op;
  if (w->ask) gl_resolver_drop(&w->ask->question);
  w->ask = NULL;
  w->call.name = NULL;
}

static void cancel_ask(gl_op *op) {
  free_ask(op);
  gl_op_done(op, UV_ECANCELED);
}

static void name_ask(const gl_op *op, char *out, size_t size) { gl_call_describe(&((const gl_ask_op *)op)->call, out, size); }

#define KIND(id) const gl_optype gl_##id##_type = {"libc." #id, push_ask, cancel_ask, free_ask, name_ask}
KIND(getaddrinfo);
KIND(getnameinfo);
KIND(gethostbyname);
KIND(gethostbyaddr);

/* ---- the question ---- */

void gl_ask_answered(gl_question *q, int status) {
  gl_ask *a = (gl_ask *)q;
  a->status = status;
  if (!a->op) return; /* a finalizer blocks the thread for it */
  a->op->ask = NULL;
  gl_op_done(&a->op->op, 0);
}

/* Asks and parks. Returns a gl_outcome; the question is the caller's again after GL_DONE, and gone after others. */
static int park(gl_layer *l, const gl_optype *type, gl_ask *a, const char *name) {
  gl_ask_op *w = gl_op_make(l->host, type, sizeof *w);
  if (!w) {
    a->question.type->free(&a->question);
    return GL_NO_STACK;
  }
  gl_call_note(&w->call, l->host, GL_NO_FD);
  w->call.name = name;
  w->ask = a;
  a->op = w;
  int err = gl_resolver_ask(l->host, &a->question, name);
  if (err) gl_ask_answered(&a->question, err);
  return gl_op_wait(&w->op, 0, false);
}

/* Nothing can park in a finalizer: blocks the thread, for a short while. True: the question is the caller's again. */
static bool block(gl_layer *l, const gl_optype *type, gl_ask *a, const char *name) {
  a->op = NULL;
  a->status = gl_resolver_ask(l->host, &a->question, name);
  if (a->status || gl_resolver_block(&a->question, GL_FINALIZER_MS)) return true;
  gl_wait_refuse(type);
  return false;
}

bool gl_ask_and_wait(gl_layer *l, const gl_optype *type, gl_ask *a, const char *name) {
  gl_kept kept;
  bool ours = false;
  if (gl_layer_finalizes(l)) ours = block(l, type, a, name);
  else if (gl_wait_is_barred(l, type) || !gl_wait_enter(l, type, &kept)) a->question.type->free(&a->question);
  else ours = gl_wait_leave(l, type, &kept, park(l, type, a, name)) == GL_WAITED_READY;
  if (!ours || !a->status) return ours;
  errno = -a->status;
  a->question.type->free(&a->question);
  return false;
}
