/* SPDX-License-Identifier: MIT
 *
 * A statement's text and parameters, as libpq takes them. Parameters travel as text, without a type: the server knows which type their
 * place in the statement has. A blob is the exception: it is bytea, and travels as it is. A table is sent as JSON, or, where the server
 * wants an array, as one (gl_pg_call_want).
 */
#ifndef GL_DB_POSTGRES_CALL_H
#define GL_DB_POSTGRES_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>
#include <libpq-fe.h>

/* One block of memory (gl_memory_resize), into which all pointers lead. */
typedef struct gl_pg_call {
  size_t size;         /* bytes of the block */
  const char *sql;     /* ends with a NUL */
  int n;               /* parameters */
  bool lists;          /* some parameter is a list, of which it is not known yet whether it is to be JSON or an array */
  const char **values; /* each ends with a NUL; NULL = NULL */
  int *lengths;        /* of those that are bytes */
  int *formats;        /* 1: bytes, 0: text */
  Oid *types;          /* 0: the server decides */
  char *is_list;       /* is the parameter such a list? */
} gl_pg_call;

/* Checks the statement at `sql` and the parameters from `first` to the top, and puts JSON into the place of tables. Returns how many
 * bytes the call will take. May park. Raises on what cannot be a parameter, in the name of `op`. */
size_t gl_pg_call_check(lua_State *L, const char *op, int sql, int first);

/* Makes the call of what gl_pg_call_check has left on the stack. NULL: out of memory. Raises nothing. */
gl_pg_call *gl_pg_call_new(lua_State *L, int sql, int first, size_t size);

/* Is told the type that the server wants of parameter i (from 0): a list becomes the text of an array where that is one. */
void gl_pg_call_want(gl_pg_call *call, int i, Oid type);

/* Frees it. Does nothing with NULL. */
void gl_pg_call_free(gl_pg_call *call);

#endif
