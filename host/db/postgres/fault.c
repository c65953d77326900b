/* SPDX-License-Identifier: MIT */
#include "db/postgres/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/cut.h"
#include "db/sql.h"

#define SQLSTATE 5 /* bytes of a code */

void gl_pg_fault_set(gl_pg_fault *f, const char *code, const char *fmt, ...) {
  va_list args;
  if (*f->code) return;
  snprintf(f->code, sizeof f->code, "%s", code);
  va_start(args, fmt);
  vsnprintf(f->message, sizeof f->message, fmt, args);
  va_end(args);
  f->message[gl_cut_whole(f->message, strlen(f->message))] = '\0';
}

void gl_pg_fault_take(gl_pg_fault *f, PGresult *result) {
  const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (*f->code || !code) {
    PQclear(result);
    return;
  }
  snprintf(f->code, sizeof f->code, "%s", code);
  f->result = result;
}

void gl_pg_fault_clear(gl_pg_fault *f) {
  PQclear(f->result);
  *f = (gl_pg_fault){0};
}

/* ---- what libpq says of a connection ---- */

/* libpq has the system's texts of these, and no numbers. */
static const int errors[] = {ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENOENT, EACCES, EADDRNOTAVAIL};

/* "... FATAL:  28P01: password authentication failed ..." -> "28P01" */
static bool read_sqlstate(const char *text, char code[SQLSTATE + 1]) {
  const char *at = strstr(text, "FATAL:  ");
  if (!at || strlen(at += 8) <= SQLSTATE || at[SQLSTATE] != ':') return false;
  for (int i = 0; i < SQLSTATE; i++)
    if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'A' && at[i] <= 'Z'))) return false;
  memcpy(code, at, SQLSTATE);
  code[SQLSTATE] = '\0';
  return true;
}

static const char *code_of(const char *text) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strstr(text, strerror(errors[i]))) return errors[i] == EPIPE ? "ECONNRESET" : uv_err_name(-errors[i]);
  if (strstr(text, "no password supplied")) return "28P01"; /* invalid_password, before the server says so */
  if (strstr(text, "SSL") || strstr(text, "certificate")) return "ETLS";
  return strstr(text, "server closed the connection") ? "ECONNRESET" : "EPROTO";
}

/* Copies the text as one line, without the code and the place in the server's source. */
static void copy_line(char *to, size_t size, const char *text) {
  char code[SQLSTATE + 1];
  size_t n = 0;
  for (; *text && n + 1 < size; text++) {
    if (strncmp(text, "FATAL:  ", 8) == 0 && read_sqlstate(text, code)) text += 8 + SQLSTATE + 1;
    if (*text == '\n' && strncmp(text + 1, "LOCATION:", 9) == 0) {
      text += 1 + strcspn(text + 1, "\n");
      if (!*text) break;
    }
    bool blank = *text == '\n' || *text == '\t' || *text == ' ';
    if (!blank) to[n++] = *text;
    else if (n && to[n - 1] != ' ') to[n++] = ' ';
  }
  while (n && to[n - 1] == ' ') n--;
  to[gl_cut_whole(to, n)] = '\0';
}

void gl_pg_fault_of_conn(gl_pg_fault *f, const PGconn *pg) {
  char code[SQLSTATE + 1];
  const char *text = pg ? PQerrorMessage(pg) : "not enough memory";
  if (*f->code) return;
  snprintf(f->code, sizeof f->code, "%s", read_sqlstate(text, code) ? code : code_of(text));
  copy_line(f->message, sizeof f->message, text);
}

/* ---- error objects ---- */

static void set_field(lua_State *L, const gl_pg_fault *f, const char *name, int field) {
  const char *text = PQresultErrorField(f->result, field);
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_fields(lua_State *L, const gl_pg_fault *f) {
  const char *position = PQresultErrorField(f->result, PG_DIAG_STATEMENT_POSITION);
  set_field(L, f, "detail", PG_DIAG_MESSAGE_DETAIL);
  set_field(L, f, "hint", PG_DIAG_MESSAGE_HINT);
  set_field(L, f, "constraint", PG_DIAG_CONSTRAINT_NAME);
  if (!position) return;
  lua_pushinteger(L, atoi(position));
  lua_setfield(L, -2, "position");
}

int gl_pg_fault_raise(lua_State *L, const char *op, const gl_pg_fault *f, const char *sql) {
  const char *reason = f->result ? PQresultErrorField(f->result, PG_DIAG_MESSAGE_PRIMARY) : f->message;
  if (!reason) reason = "the server gave no reason";
  gl_sql_push_error(L, op, f->code, reason, sql);
  if (f->result) set_fields(L, f);
  return lua_error(L);
}
