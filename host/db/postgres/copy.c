/* SPDX-License-Identifier: MIT */
#include "db/postgres/copy.h"

#define PIECE ((size_t)64 << 10) /* bytes that are read or written before others have their turn */

bool gl_pg_copy_begin(gl_pg_conn *c, ExecStatusType status) {
  if (status == PGRES_COPY_OUT) c->copying = GL_PG_COPY_OUT;
  else if (status == PGRES_COPY_IN) c->copying = GL_PG_COPY_IN;
  return status == PGRES_COPY_OUT || status == PGRES_COPY_IN;
}

/* ---- out ---- */

static void keep(gl_pg_op *s, const char *row, size_t len) {
  gl_pg_copied *copied = &s->copied;
  if (!gl_buf_add(&copied->sizes, &len, sizeof len) || !gl_buf_add(&copied->bytes, row, len)) gl_pg_conn_stop(s, UV_ENOMEM);
}

static bool has_enough(const gl_pg_op *s) { return s->copied.bytes.len + s->copied.sizes.len >= PIECE; }

/* Rows that nobody asks for any more are dropped. */
static bool read_rows(gl_pg_conn *c) {
  for (;;) {
    char *row = NULL;
    int n = PQgetCopyData(c->pg, &row, 1);
    gl_pg_op *s = c->running;
    if (n > 0 && s) keep(s, row, (size_t)n);
    PQfreemem(row);
    if (n < 0) break;
    if (s && s == c->running && (n > 0 ? has_enough(s) : s->copied.sizes.len > 0)) {
      gl_pg_conn_finish(s, 0);
      return false;
    }
    if (n == 0) {
      gl_pg_conn_flush(c);
      return false;
    }
  }
  c->copying = GL_PG_COPY_NONE;
  if (c->running) c->running->copied.over = true;
  gl_pg_conn_flush(c);
  return true;
}

/* ---- in ---- */

static void write_rows(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  gl_pg_copied *copied = &s->copied;
  while (PQflush(c->pg) == 0) {
    size_t n = copied->len < PIECE ? copied->len : PIECE;
    if (n == 0) {
      gl_pg_conn_finish(s, 0);
      return;
    }
    int ok = PQputCopyData(c->pg, copied->data, (int)n);
    if (ok < 0) {
      gl_pg_conn_lose_as_said(c);
      return;
    }
    if (ok == 0) break;
    copied->data += n;
    copied->len -= n;
  }
  gl_pg_conn_flush(c); /* which finds out what is wrong */
}

/* `why`: the rows are not to be kept; NULL: they are. Returns whether the server is told. */
static bool end(gl_pg_conn *c, const char *why) {
  int ok = PQputCopyEnd(c->pg, why);
  if (ok < 0) {
    gl_pg_conn_lose_as_said(c);
    return false;
  }
  if (ok > 0) c->copying = GL_PG_COPY_NONE;
  gl_pg_conn_flush(c);
  return ok > 0;
}

bool gl_pg_copy_go_on(gl_pg_conn *c) {
  gl_pg_op *s = c->running;
  if (c->copying == GL_PG_COPY_OUT) return read_rows(c);
  if (s && s->purpose == GL_PG_COPY_WRITES) {
    write_rows(s);
    return false;
  }
  return end(c, s ? NULL : "the client gave up");
}

void gl_pg_copy_give_up(gl_pg_conn *c) {
  if (c->copying && !c->running && !c->draining) gl_pg_conn_drain(c);
}
