/* SPDX-License-Identifier: MIT */
#include "db/postgres/connect.h"

#include <string.h>

#include "core/log.h"
#include "db/postgres/statement.h"

#define MOST 63 /* keywords */

/* Notices go to the log. The last words of a server that ends an idle connection come as one, too. */
static void on_notice(void *arg, const PGresult *r) {
  gl_pg_conn *c = arg;
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  if (!severity || !text) return;
  if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
    c->dying = true;
    gl_pg_fault_set(&c->lost, code ? code : "ECONNRESET", "%s", text);
  } else if (strcmp(severity, "WARNING") == 0) {
    gl_log(c->host, GL_LOG_WARNING, "PostgreSQL", text, strlen(text), PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL));
  } else if (strcmp(severity, "NOTICE") == 0 || strcmp(severity, "INFO") == 0) {
    gl_log(c->host, GL_LOG_INFO, "PostgreSQL", text, strlen(text), PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL));
  }
}

static void wait_for(gl_pg_conn *c, int events) {
  if (!gl_pg_conn_watch(c, events)) gl_pg_conn_lose(c, "ENOMEM", "not enough memory");
}

void gl_pg_connect_start(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  const char *keywords[MOST + 1], *values[MOST + 1], *at = s->params;
  int n = 0;
  for (; *at && n < MOST; n++) {
    keywords[n] = at;
    at += strlen(at) + 1;
    values[n] = at;
    at += strlen(at) + 1;
  }
  keywords[n] = values[n] = NULL;
  s->step = GL_PG_CONNECT;
  c->pg = PQconnectStartParams(keywords, values, 0);
  if (c->pg && PQstatus(c->pg) != CONNECTION_BAD) {
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); /* which has the code of the server's error */
    PQsetNoticeReceiver(c->pg, on_notice, c);
    wait_for(c, UV_WRITABLE);
  } else {
    gl_pg_conn_lose_as_said(c);
  }
}

void gl_pg_connect_step(gl_pg_op *s) {
  gl_pg_conn *c = s->conn;
  gl_pg_conn_unwatch(c); /* libpq may close the socket, and open another with the same number, for the next address */
  switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING: wait_for(c, UV_READABLE); break;
    case PGRES_POLLING_WRITING: wait_for(c, UV_WRITABLE); break;
    case PGRES_POLLING_OK:
      PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
      if (PQsetnonblocking(c->pg, 1) == 0) gl_pg_statement_go_on(s);
      else gl_pg_conn_lose_as_said(c);
      break;
    default: gl_pg_conn_lose_as_said(c);
  }
}
