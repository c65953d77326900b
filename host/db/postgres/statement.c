/* SPDX-License-Identifier: MIT */
#include "db/postgres/statement.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/postgres/connect.h"
#include "db/postgres/copy.h"
#include "db/postgres/script.h"
#include "db/postgres/session.h"

static bool is_idle(const gl_pg_conn *c) { return PQtransactionStatus(c->pg) == PQTRANS_IDLE; }

/* ---- the end ---- */

static void conclude(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  bool ok = !*s->fault.code;
  if (s->purpose == GL_PG_BEGINS) c->begun = ok;
  if (s->purpose == GL_PG_COMMITS) c->begun = !is_idle(c);
  if (s->purpose == GL_PG_GOES_BACK && ok) c->doomed = false;
  if ((s->purpose == GL_PG_RESETS || s->purpose == GL_PG_OPENS) && ok) c->changed = false;
  if (s->purpose == GL_PG_OPENS && !ok) gl_pg_conn_lose(c, s->fault.code, "init_sql failed"); /* which ends the op */
  else gl_pg_conn_finish(s, 0);
}

/* ---- what is sent ---- */

static void trouble(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  if (PQstatus(c->pg) == CONNECTION_BAD) {
    gl_pg_conn_lose_as_said(c);
    return;
  }
  gl_pg_fault_of_conn(&s->fault, c->pg);
  conclude(s);
}

static void sent(gl_pg_op *s, gl_pg_step step, int ok) {
  s->step = step;
  if (!ok) {
    trouble(s);
    return;
  }
  if (step == GL_PG_RUN) PQsetSingleRowMode(s->conn->pg);
  gl_pg_conn_flush(s->conn);
}

static void deallocate(gl_pg_op *s) {
  char name[GL_PG_NAME], sql[GL_PG_NAME + 16];
  gl_pg_cache_take_stale(&s->conn->cache, name);
  snprintf(sql, sizeof sql, "DEALLOCATE %s", name);
  sent(s, GL_PG_DEALLOCATE, PQsendQuery(s->conn->pg, sql));
}

/* Has the server been told the statement before its parameters? */
static bool is_prepared(const gl_pg_op *s) { return s->entry ? s->entry->prepared : s->prepared; }

static void take_description(gl_pg_op *s) {
  const gl_pg_entry *e = s->entry;
  for (int i = 0; i < e->n; i++) gl_pg_call_want(s->call, i, e->types[i]);
  s->described = true;
}

static void send_call(gl_pg_op *s) {
  PGconn *pg = s->conn->pg;
  const gl_pg_call *call = s->call;
  char name[GL_PG_NAME] = "";
  bool lists = call->lists && !s->repeated, early = lists || (s->entry && s->entry->used);
  if (early && !is_prepared(s)) {
    if (s->entry) gl_pg_cache_name(&s->conn->cache, s->entry, name);
    sent(s, GL_PG_PREPARE, PQsendPrepare(pg, name, call->sql, call->n, call->types));
    return;
  }
  if (s->entry && is_prepared(s)) gl_pg_entry_name(s->entry, name);
  if (lists && !s->described && s->entry && s->entry->described) take_description(s);
  if (lists && !s->described)
    sent(s, GL_PG_DESCRIBE, PQsendDescribePrepared(pg, name));
  else if (is_prepared(s))
    sent(s, GL_PG_RUN, PQsendQueryPrepared(pg, name, call->n, call->values, call->lengths, call->formats, 0));
  else
    sent(s, GL_PG_RUN, PQsendQueryParams(pg, call->sql, call->n, call->types, call->values, call->lengths, call->formats, 0));
}

/* A statement of the script must not run, and be kept, outside of the transaction that it belongs to. */
static bool has_ended(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  if (!c->begun || !is_idle(c)) return false;
  gl_pg_fault_set(&s->fault, "25P01", "the transaction has ended already, by a statement of its own");
  return true;
}

/* Sends the next statement of the script. The text is whole again afterwards: libpq has copied it. */
static void send_next(gl_pg_op *s) {
  bool blank = true;
  char *end = (char *)(uintptr_t)s->next;
  while (blank) {
    s->from = *end == ';' ? end + 1 : end;
    if (!*s->from) break;
    end = (char *)(uintptr_t)gl_pg_script_end(s->from, &blank);
  }
  if (blank || has_ended(s)) {
    conclude(s);
    return;
  }
  char last = *end;
  *end = '\0';
  int ok = PQsendQuery(s->conn->pg, s->from);
  *end = last;
  s->next = end;
  sent(s, GL_PG_RUN, ok);
}

/* Behind a pooler only a transaction keeps the session, and so the statement that was prepared without a name, from one step to the next. */
static bool is_to_enter(const gl_pg_op *s) {
  return s->conn->unnamed && s->call && s->call->lists && !s->entered && is_idle(s->conn);
}

static void advance(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  if (is_to_enter(s)) sent(s, GL_PG_ENTER, PQsendQuery(c->pg, "BEGIN"));
  else if (c->cache.stale.len && is_idle(c)) deallocate(s);
  else if (s->purpose == GL_PG_COPIES) sent(s, GL_PG_RUN, PQsendQuery(c->pg, s->script->sql));
  else if (s->call) send_call(s);
  else if (s->script) send_next(s);
  else if (s->list[s->at]) sent(s, GL_PG_RUN, PQsendQuery(c->pg, s->list[s->at]));
  else conclude(s);
}

/* ---- the beginning ---- */

/* Fills in what depends on the state of the connection. */
static void plan(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  int n = 0;
  if (s->purpose == GL_PG_BEGINS) c->doomed = false;
  if (s->purpose != GL_PG_ROLLS_BACK && s->purpose != GL_PG_RESETS) return;
  c->begun = c->doomed = false;
  if (!is_idle(c)) s->list[n++] = "ROLLBACK";
  if (s->purpose != GL_PG_RESETS || !c->changed) return;
  s->list[n++] = "DISCARD ALL";
  s->list[n] = c->init_sql;
}

/* Says in the op's fault why it may not run while a COPY is on its way, or while none is. */
static bool is_beside_copy(gl_pg_op *s) {
  gl_pg_copying way = s->purpose == GL_PG_COPY_READS ? GL_PG_COPY_OUT : GL_PG_COPY_IN;
  bool of_copy = gl_pg_is_of_copy(s->purpose);
  if (of_copy ? s->conn->copying == way : s->conn->copying == GL_PG_COPY_NONE) return false;
  if (of_copy) gl_pg_fault_set(&s->fault, "EINVAL", "no such COPY is on its way");
  else gl_pg_fault_set(&s->fault, "EBUSY", "a COPY is on its way on this connection, which belongs to the task's transaction or pin");
  return true;
}

/* Says why the op may not run, in its fault. */
static bool is_refused(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  if (!c->pg) {
    gl_pg_fault_set(&s->fault, *c->lost.code ? c->lost.code : "ECLOSED", "%s", c->lost.message);
    return true;
  }
  if (is_beside_copy(s)) return true;
  if (!c->begun || s->purpose == GL_PG_ROLLS_BACK || s->purpose == GL_PG_RESETS) return false;
  if (!has_ended(s) && c->doomed && s->purpose != GL_PG_GOES_BACK) gl_pg_fault_set(&s->fault, "25P02", "the transaction can only be rolled back: a statement in it was stopped");
  return *s->fault.code;
}

void gl_pg_statement_go_on(gl_pg_op *s) {
  if (s->call && !s->conn->unnamed) s->entry = gl_pg_cache_find(&s->conn->cache, s->call->sql);
  const gl_pg_call *text = s->call ? s->call : s->script;
  if (text && (s->entry ? s->entry->changes : gl_pg_session_by_text(text->sql))) s->conn->changed = true;
  advance(s);
}

void gl_pg_statement_start(gl_pg_op *s) {
  if (s->purpose == GL_PG_OPENS) {
    gl_pg_connect_start(s);
  } else if (is_refused(s)) {
    gl_pg_conn_finish(s, 0);
  } else if (gl_pg_is_of_copy(s->purpose)) {
    s->step = GL_PG_RUN; /* and the connection goes on with it */
  } else {
    plan(s);
    gl_pg_statement_go_on(s);
  }
}

/* ---- what comes back ---- */

static void keep_row(gl_pg_op *s, const PGresult *r) {
  gl_pg_rows *rows = &s->rows;
  if (!s->max_bytes || rows->count >= s->max_rows) return;
  if (!gl_pg_rows_columns(rows, r) || !gl_pg_rows_add(rows, r)) {
    gl_pg_conn_stop(s, UV_ENOMEM);
  } else if (gl_pg_rows_bytes(rows) >= s->max_bytes) {
    gl_pg_fault_set(&s->fault, "EMSGSIZE", "the result is larger than %zu bytes; read it with rows(), or limit it", s->max_bytes);
    gl_pg_conn_stop(s, 0);
  }
}

static bool begins_with(const char *text, const char *word) { return strncmp(text, word, strlen(word)) == 0; }

/* Forgets what the server has forgotten. */
static void note_discard(gl_pg_conn *c, const char *tag) {
  if (!begins_with(tag, "DISCARD ALL") && !begins_with(tag, "DEALLOCATE ALL")) return;
  if (c->running) c->running->entry = NULL;
  gl_pg_cache_clear(&c->cache);
}

/* The tag says what kind of statement it was: "INSERT 0 1". */
static void note_tag(gl_pg_op *s, const char *tag, const char *tuples) {
  gl_pg_conn *c = s->conn;
  if (begins_with(tag, "INSERT") || begins_with(tag, "UPDATE") || begins_with(tag, "DELETE") || begins_with(tag, "MERGE") ||
      begins_with(tag, "COPY"))
    s->affected += strtoll(tuples, NULL, 10);
  if (s->purpose == GL_PG_COMMITS && begins_with(tag, "ROLLBACK"))
    gl_pg_fault_set(&s->fault, "25P02", "a statement of the transaction had failed: it was rolled back");
  note_discard(c, tag);
  const char *sql = s->call ? s->call->sql : s->script ? s->script->sql : NULL;
  if (sql && gl_pg_session_by_tag(tag, sql, s->script != NULL)) c->changed = true;
}

static void take_answer(gl_pg_op *s, PGresult *r) {
  if (s->step == GL_PG_DESCRIBE) {
    for (int i = 0; i < PQnparams(r); i++) gl_pg_call_want(s->call, i, PQparamtype(r, i));
    if (s->entry) gl_pg_entry_describe(s->entry, r);
    s->described = true;
  } else if (s->step == GL_PG_RUN) {
    if (s->max_bytes && PQresultStatus(r) == PGRES_TUPLES_OK && !gl_pg_rows_columns(&s->rows, r)) gl_pg_conn_stop(s, UV_ENOMEM);
    else note_tag(s, PQcmdStatus(r), PQcmdTuples(r));
  }
}

void gl_pg_statement_dropped(gl_pg_conn *c, PGresult *r) {
  ExecStatusType status = PQresultStatus(r);
  const char *tag = PQcmdStatus(r);
  note_discard(c, tag);
  if (gl_pg_session_by_tag(tag, "", true)) c->changed = true;
  PQclear(r);
  if (!gl_pg_copy_begin(c, status) && status == PGRES_COPY_BOTH) gl_pg_conn_lose(c, "ECANCELED", "a COPY was given up");
}

/* The server waits for rows, or sends some. */
static void begin_copy(gl_pg_op *s, ExecStatusType status) {
  gl_pg_conn *c = s->conn;
  if (!gl_pg_copy_begin(c, status)) {
    gl_pg_conn_lose(c, "ENOTSUP", "a COPY in both directions is not supported here, and ends the connection");
  } else if (s->purpose == GL_PG_COPIES) {
    s->copied.way = c->copying;
    gl_pg_conn_finish(s, 0);
  } else {
    gl_pg_fault_set(&s->fault, "ENOTSUP", "COPY from or to the client is for db:copy_in and db:copy_out");
    gl_pg_conn_stop(s, 0);
  }
}

void gl_pg_statement_result(gl_pg_op *s, PGresult *r) {
  switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE: keep_row(s, r); break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: take_answer(s, r); break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: begin_copy(s, PQresultStatus(r)); break;
    case PGRES_FATAL_ERROR:
      gl_pg_fault_take(&s->fault, r);
      return;
    default: break;
  }
  PQclear(r);
}

/* Is it the prepared statement that failed, rather than what it says? `there`: the server has it still. */
static bool is_outdated(const gl_pg_op *s, bool *there) {
  const gl_pg_fault *f = &s->fault;
  const char *function = f->result ? PQresultErrorField(f->result, PG_DIAG_SOURCE_FUNCTION) : NULL;
  *there = function && strcmp(function, "RevalidateCachedQuery") == 0;
  return s->entry && s->entry->prepared && (*there || strcmp(f->code, "26000") == 0);
}

/* Forgets a prepared statement that is not valid any more. Returns whether the statement is to be repeated. */
static bool is_to_repeat(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  bool there;
  if (!is_outdated(s, &there)) return false;
  gl_pg_cache_drop(&c->cache, s->entry, there);
  s->entry = NULL;
  if (s->repeated || c->begun || !is_idle(c)) return false;
  gl_pg_fault_clear(&s->fault);
  gl_pg_rows_clear(&s->rows);
  s->affected = 0;
  s->prepared = false;
  return s->repeated = true;
}

/* The statement has run, or failed. */
static void leave(gl_pg_op *s) {
  bool inside = s->entered && s->step != GL_PG_LEAVE && !is_idle(s->conn);
  if (inside) sent(s, GL_PG_LEAVE, PQsendQuery(s->conn->pg, *s->fault.code ? "ROLLBACK" : "COMMIT"));
  else conclude(s);
}

void gl_pg_statement_ended(gl_pg_op *s) {
  bool failed = *s->fault.code;
  if (s->step == GL_PG_LEAVE) {
    conclude(s);
    return;
  }
  if (s->step == GL_PG_DEALLOCATE) {
    gl_pg_fault_clear(&s->fault);
  } else if (failed) {
    if (!is_to_repeat(s)) {
      leave(s);
      return;
    }
  } else if (s->step == GL_PG_ENTER) {
    s->entered = true;
  } else if (s->step == GL_PG_PREPARE) {
    if (s->entry) s->entry->prepared = true;
    else s->prepared = true;
  } else if (s->step == GL_PG_RUN) {
    if (s->purpose == GL_PG_COPIES) gl_pg_fault_set(&s->fault, "EINVAL", "COPY ... FROM STDIN or COPY ... TO STDOUT expected");
    if (s->call || s->purpose == GL_PG_COPIES) {
      leave(s);
      return;
    }
    if (!s->script) s->at++;
  }
  advance(s);
}
