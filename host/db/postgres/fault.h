/* SPDX-License-Identifier: MIT
 *
 * Why a statement or a connection failed: the server's own error, or one of ours.
 */
#ifndef GL_DB_POSTGRES_FAULT_H
#define GL_DB_POSTGRES_FAULT_H

#include <lua.h>
#include <libpq-fe.h>

typedef struct gl_pg_fault {
  PGresult *result;  /* owned; the server's error; NULL: it is ours, if `code` is not empty */
  char code[16];     /* SQLSTATE or ours; "" = no failure */
  char message[300]; /* of ours */
} gl_pg_fault;

/* Describes a failure of ours, unless there is one already. Formats of printf; a long message is cut. */
void gl_pg_fault_set(gl_pg_fault *f, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Takes the server's error over, unless there is a failure already; then it is freed. */
void gl_pg_fault_take(gl_pg_fault *f, PGresult *result);

/* Describes why there is no connection, in libpq's words, which name the code only if the server has answered and libpq was told to be
 * verbose. */
void gl_pg_fault_of_conn(gl_pg_fault *f, const PGconn *pg);

/* Forgets the failure. */
void gl_pg_fault_clear(gl_pg_fault *f);

/* Raises the failure as an error object, with `sql`, the statement that failed, unless that is NULL. Never returns. */
int gl_pg_fault_raise(lua_State *L, const char *op, const gl_pg_fault *f, const char *sql);

#endif
