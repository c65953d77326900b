/* SPDX-License-Identifier: MIT */
#include "db/sqlite/cursor.h"

#include <stdlib.h>

#include "core/class.h"
#include "core/error.h"
#include "db/sqlite/rows.h"

#define CURSOR "green.db.sqlite.cursor"
#define BATCH_ROWS 100
#define BATCH_BYTES ((size_t)256 << 10)
#define FETCH_TIMEOUT 30.0

/* A cursor is referred to by its handle and by a fetch that runs. While a fetch runs, `call` and `stmt` are its thread's; otherwise a
 * cursor is the loop's. */
typedef struct cursor {
  gl_sqlite_conn *conn; /* referenced */
  gl_sqlite_call *call; /* owned; NULL once the open statement owns it (gl_sqlite_stmt.bound) */
  gl_sqlite_stmt *stmt; /* NULL: not open yet, or at its end */
  int refs;
  bool fetching;        /* a fetch runs */
  atomic_bool ended;    /* read to its end, failed or closed: set by the pool thread of a fetch and by the loop */
} cursor;

typedef struct fetch_op {
  gl_sqlite_job job;
  cursor *cursor; /* referenced */
  gl_sqlite_rows rows;
} fetch_op;

static void cursor_unref(cursor *c) {
  if (--c->refs > 0) return;
  if (c->stmt) gl_sqlite_conn_drop(c->conn, c->stmt);
  gl_sqlite_conn_unref(c->conn);
  gl_sqlite_call_free(c->call);
  free(c);
}

static void cursor_end(cursor *c) {
  c->ended = true;
  if (!c->stmt || c->fetching) return;
  gl_sqlite_conn_drop(c->conn, c->stmt);
  c->stmt = NULL;
}

/* ---- fetch ---- */

static int run_fetch(gl_sqlite_job *job) {
  fetch_op *f = (fetch_op *)job;
  cursor *c = f->cursor;
  gl_sqlite *e = &c->conn->engine;
  bool first = !c->stmt;
  int rc = SQLITE_OK;
  gl_sqlite_rows_free(&f->rows); /* an earlier try, which found the database locked, may have left some */
  f->rows = (gl_sqlite_rows){0};
  job->once = !first;
  if (first && (rc = gl_sqlite_take(e, c->call, &c->stmt, &job->fault)) != SQLITE_OK) return rc;
  rc = gl_sqlite_step(e, c->stmt, &f->rows, BATCH_ROWS, BATCH_BYTES, &job->fault);
  if (rc != SQLITE_ROW) {
    gl_sqlite_put(e, c->stmt);
    c->stmt = NULL;
    if (rc == SQLITE_DONE || !first) c->ended = true; /* the job repeats a first step that found the database locked */
  } else if (!c->stmt->bound) {
    c->stmt->bound = c->call;
    c->call = NULL;
  }
  return rc;
}

static void ended_fetch(gl_sqlite_job *job) {
  cursor *c = ((fetch_op *)job)->cursor;
  c->fetching = false;
  if (c->ended || job->work.op.detached) cursor_end(c); /* rows of a fetch that its task gave up are lost: a later fetch would miss them */
}

static int push_fetch(lua_State *L, gl_op *op) {
  fetch_op *f = (fetch_op *)op;
  int code = f->job.fault.code;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  if (code) f->cursor->ended = true;
  if (code == GL_SQLITE_WRITES) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (code) return gl_sqlite_job_raise(L, &f->job, f->cursor->call ? f->cursor->call->sql : NULL);
  if (f->rows.count) gl_sqlite_push_rows(L, &f->rows);
  else lua_pushnil(L);
  return 1;
}

static void free_fetch(gl_op *op) {
  fetch_op *f = (fetch_op *)op;
  gl_sqlite_rows_free(&f->rows);
  cursor_unref(f->cursor);
  gl_sqlite_job_free(&f->job);
}

static const gl_optype fetch_type = {"db.rows", push_fetch, gl_sqlite_job_cancel, free_fetch};

static cursor *check_cursor(lua_State *L) { return gl_class_check(L, 1, CURSOR); }

static int cursor_fetch(lua_State *L) {
  cursor *c = check_cursor(L);
  double timeout = gl_check_timeout(L, 2, FETCH_TIMEOUT);
  if (c->fetching) return luaL_error(L, "another task waits for rows of this cursor");
  if (c->ended) return 0;
  fetch_op *f = gl_op_new(L, &fetch_type, sizeof *f, 0);
  f->cursor = c;
  c->refs++;
  c->fetching = true;
  f->job.run = run_fetch;
  f->job.ended = ended_fetch;
  f->job.interruptible = true;
  return gl_sqlite_job_await(L, &f->job, c->conn, timeout);
}

/* ---- the handle ---- */

static int cursor_close(lua_State *L) {
  cursor *c = *(cursor **)gl_class_self(L, CURSOR);
  if (c) cursor_end(c);
  return 0;
}

static int cursor_gc(lua_State *L) {
  cursor **at = gl_class_self(L, CURSOR);
  if (*at) cursor_unref(*at);
  *at = NULL;
  return 0;
}

int gl_sqlite_cursor_push(lua_State *L, gl_sqlite_conn *conn) {
  size_t size = gl_sqlite_call_check(L, 2, 3);
  cursor **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = NULL;
  luaL_setmetatable(L, CURSOR);
  lua_insert(L, 1); /* cursor conn sql parameters... */
  cursor *c = calloc(1, sizeof *c);
  if (c) c->call = gl_sqlite_call_new(L, 3, 4, size);
  if (!c || !c->call) {
    free(c);
    return luaL_error(L, "not enough memory");
  }
  c->conn = conn;
  conn->refs++;
  c->refs = 1;
  *at = c;
  lua_settop(L, 1);
  return 1;
}

void gl_sqlite_cursor_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"fetch", cursor_fetch}, {"close", cursor_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", cursor_gc}, {NULL, NULL}};
  gl_class_new(L, CURSOR, methods, meta);
}
