/* SPDX-License-Identifier: MIT
 *
 * The statements that a connection has prepared on the server, by their text; the least recently used makes room. A statement is
 * prepared when it is used for the second time: most that are used once are never used again.
 *
 *     (none) --gl_pg_cache_find--> noted --prepared: gl_pg_cache_name, and the server has agreed--> prepared
 *                                    |                                                               |
 *                                    '--too many; gl_pg_cache_clear--> freed <--gl_pg_cache_drop-----'
 *                                                                        '--> its name is in `stale` until it is deallocated
 */
#ifndef GL_DB_POSTGRES_CACHE_H
#define GL_DB_POSTGRES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "core/buf.h"

#define GL_PG_NAME 24 /* bytes of the name of a prepared statement, at most, with its NUL */

typedef struct gl_pg_entry {
  struct gl_pg_entry *prev, *next; /* neighbours in the cache, the most recently used first */
  uint32_t hash;                   /* of `sql` */
  uint64_t id;                     /* of its name on the server; 0 = it was not prepared */
  bool prepared;
  bool used;                       /* at least once before */
  bool described;                  /* `types` are known */
  bool changes;                    /* its words may leave something in the session */
  int n;                           /* parameters */
  Oid *types;                      /* owned: of the parameters */
  char sql[];
} gl_pg_entry;

typedef struct gl_pg_cache {
  gl_pg_entry *head, *tail;
  int count;
  uint64_t ids;  /* given so far */
  gl_buf stale;  /* ids of statements that the server has in vain */
} gl_pg_cache;

/* Returns the entry of `sql`, now the most recently used; a new one if need be. NULL: out of memory. */
gl_pg_entry *gl_pg_cache_find(gl_pg_cache *c, const char *sql);

/* Gives the entry a new name, and writes it: no name is ever used twice, as nobody may know whether the server has it. */
void gl_pg_cache_name(gl_pg_cache *c, gl_pg_entry *e, char name[GL_PG_NAME]);

/* Writes the name that the entry has. */
void gl_pg_entry_name(const gl_pg_entry *e, char name[GL_PG_NAME]);

/* Keeps the types that a description of the statement has. Without memory they stay unknown. */
void gl_pg_entry_describe(gl_pg_entry *e, const PGresult *r);

/* Removes the entry. `there`: the server has the statement still, and is to forget it. */
void gl_pg_cache_drop(gl_pg_cache *c, gl_pg_entry *e, bool there);

/* Takes the name of a statement that the server is to forget. False: there is none. */
bool gl_pg_cache_take_stale(gl_pg_cache *c, char name[GL_PG_NAME]);

/* Forgets everything: the server has none of these any more. */
void gl_pg_cache_clear(gl_pg_cache *c);

#endif
