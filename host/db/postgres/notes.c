/* SPDX-License-Identifier: MIT */
#include "db/postgres/notes.h"

#include "core/error.h"
#include "core/opqueue.h"

typedef struct hear_op {
  gl_op op;
  gl_pg_conn *conn; /* referenced */
  PGnotify *note;   /* owned; NULL: somebody rang */
  gl_pg_fault fault;
} hear_op;

static int push_hear(lua_State *L, gl_op *op) {
  const hear_op *o = (hear_op *)op;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  if (*o->fault.code) return gl_pg_fault_raise(L, op->type->name, &o->fault, NULL);
  if (!o->note) return 0;
  lua_pushstring(L, o->note->relname);
  lua_pushstring(L, o->note->extra);
  return 2;
}

static void cancel_hear(gl_op *op) { gl_opqueue_cancel(&((hear_op *)op)->conn->hearers, op); }

static void free_hear(gl_op *op) {
  hear_op *o = (hear_op *)op;
  PQfreemem(o->note);
  gl_pg_fault_clear(&o->fault);
  gl_pg_conn_unref(o->conn);
}

static const gl_optype hear_type = {"db.listen", push_hear, cancel_hear, free_hear};

static void fail(hear_op *o) {
  const gl_pg_fault *lost = &o->conn->lost;
  gl_pg_fault_set(&o->fault, *lost->code ? lost->code : "ECLOSED", "%s", lost->message);
  gl_op_done(&o->op, 0);
}

int gl_pg_hear(lua_State *L, gl_pg_conn *c, double timeout) {
  hear_op *o = gl_op_new(L, &hear_type, sizeof *o, 0);
  o->conn = c;
  c->refs++;
  if (gl_pg_conn_is_foreign(c) || !c->pg) {
    fail(o);
  } else {
    gl_opqueue_push(&c->hearers, &o->op);
    gl_pg_conn_queue_turn(c);
  }
  return gl_await(L, &o->op, timeout);
}

void gl_pg_notes_hand_out(gl_pg_conn *c) {
  PGnotify *note;
  while (c->rung && c->hearers.head) {
    c->rung = false;
    gl_op *op = gl_opqueue_take(&c->hearers);
    if (op) gl_op_done(op, 0);
  }
  while (c->pg && (c->hearers.head || !c->listens) && (note = PQnotifies(c->pg)) != NULL) {
    hear_op *o = (hear_op *)gl_opqueue_take(&c->hearers);
    if (!o) {
      PQfreemem(note); /* a statement of the user's has said LISTEN, where nobody hears */
      continue;
    }
    o->note = note;
    gl_op_done(&o->op, 0);
  }
}

void gl_pg_notes_ring(gl_pg_conn *c) {
  c->rung = true;
  if (c->hearers.head) gl_pg_conn_queue_turn(c);
}

void gl_pg_notes_end(gl_pg_conn *c) {
  for (gl_op *op; (op = gl_opqueue_take(&c->hearers)) != NULL;) fail((hear_op *)op);
}
