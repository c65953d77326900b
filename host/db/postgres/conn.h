/* SPDX-License-Identifier: MIT
 *
 * A connection to PostgreSQL: libpq without blocking, on the loop. Statements run one at a time, in the order in which they were asked
 * for. All that reads or writes the socket runs in the loop, outside of tasks, where libpq's calls of libc are libc's own
 * (libc/layer.h): in a task they would park it. What libpq itself allocates is not counted (core/memory.h): it is one row, and what
 * the socket has given beyond that.
 *
 *     new --gl_pg_conn_start--> WAITING --on_turn, proceed--> RUNNING --finish--> done
 *                                 |                             |
 *                                 | gl_pg_op_cancel: done       | gl_pg_op_cancel, stop: done at once, and the connection is
 *                                 '---> done                    v
 *                                                            draining --the server is ready, and was asked--> idle
 *                                                               '--PATIENCE is over: gl_pg_conn_lose--> lost
 *
 *  1. `running` is the one op that has been sent; while the connection drains there is none, and nothing is sent.
 *  2. A statement that nobody waits for any more is stopped on the server in time of the connection's own: its op, and so the task,
 *     has let go of it at once.
 *  3. A connection that was lost (`pg` is NULL) stays so; its ops fail with `lost`. Nothing here connects again: the pool does.
 *  4. `begun`: db:transaction has begun a transaction, and neither committed nor rolled it back. While it is set, nothing runs in a
 *     transaction that has ended by other means, nor in one that is `doomed`: a statement in it was stopped, and nobody knows how
 *     far it came.
 *  5. A connection that was made before a fork is the parent's: the child neither writes to it nor closes it.
 */
#ifndef GL_DB_POSTGRES_CONN_H
#define GL_DB_POSTGRES_CONN_H

#include <libpq-fe.h>

#include "core/op.h"
#include "db/postgres/cache.h"
#include "db/postgres/call.h"
#include "db/postgres/canceller.h"
#include "db/postgres/fault.h"
#include "db/postgres/rows.h"

typedef struct gl_pg_op gl_pg_op;
typedef struct gl_pg_poller gl_pg_poller;

/* Which way a COPY goes (copy.h). */
typedef enum gl_pg_copying { GL_PG_COPY_NONE, GL_PG_COPY_OUT, GL_PG_COPY_IN } gl_pg_copying;

typedef struct gl_pg_conn {
  gl_host *host;
  uint32_t process;           /* number of the process that made the connection (gl_host.process) */
  uint32_t refs;              /* of the handle, of each op, and of `turn` while that is queued */
  PGconn *pg;                 /* NULL: not connected yet, or lost */
  gl_pg_poller *poller;       /* watches its socket; NULL: nothing does */
  gl_turn_hook turn;          /* starts what waits */
  gl_pg_op *running;          /* NULL: none */
  gl_opqueue waiting;
  gl_opqueue hearers;         /* ops of notes.c, which wait for a notification */
  gl_pg_canceller *canceller; /* NULL: no cancel is on its way */
  gl_timer timer;             /* armed while the connection drains: when to look after `canceller` */
  uint64_t give_up;           /* when draining has taken too long, ns */
  double pause;               /* seconds until the next look */
  gl_pg_cache cache;
  gl_pg_fault lost;           /* why there is no connection */
  char *init_sql;             /* owned; the user's SQL for each session; NULL = none */
  gl_pg_copying copying;
  bool draining;
  bool quiet;                 /* it drains, and the server is ready */
  bool begun;
  bool doomed;
  bool changed;               /* the session was: the next user needs it put back */
  bool unnamed;               /* nothing is prepared under a name (an option: between us and the server is a pooler) */
  bool dying;                 /* the server has said that it ends the connection, and `lost` why */
  bool counted;               /* in census.handles */
  bool listens;               /* notifications are asked for; else they are dropped */
  bool rung;                  /* gl_pg_notes_ring, and nobody has heard it yet */
} gl_pg_conn;

/* What the running op has asked the server for last. */
typedef enum gl_pg_step {
  GL_PG_CONNECT,    /* the connection */
  GL_PG_DEALLOCATE, /* to forget a statement that it has in vain */
  GL_PG_PREPARE,
  GL_PG_DESCRIBE,   /* which types the parameters have */
  GL_PG_RUN,
  GL_PG_ENTER,      /* to begin a transaction around what follows */
  GL_PG_LEAVE,      /* to end that */
} gl_pg_step;

/* What an op is about. */
typedef enum gl_pg_purpose {
  GL_PG_STATEMENT,
  GL_PG_OPENS,     /* it makes the connection */
  GL_PG_BEGINS,    /* BEGIN, of db:transaction */
  GL_PG_COMMITS,
  GL_PG_ROLLS_BACK,
  GL_PG_GOES_BACK, /* to a savepoint */
  GL_PG_RESETS,    /* the transaction and the session */
  GL_PG_COPIES,    /* it begins a COPY */
  GL_PG_COPY_READS,
  GL_PG_COPY_WRITES,
  GL_PG_COPY_ENDS,
} gl_pg_purpose;

static inline bool gl_pg_is_of_copy(gl_pg_purpose p) { return p >= GL_PG_COPY_READS; }

/* What an op of a COPY reads or writes. */
typedef struct gl_pg_copied {
  gl_buf bytes, sizes; /* rows that were read, and how many bytes each has, a size_t */
  const char *data;    /* what is to be written; pinned */
  size_t len;
  gl_pg_copying way;   /* of the COPY that the op has begun */
  bool over;           /* there are no more rows */
} gl_pg_copied;

#define GL_PG_LIST 4

/* What runs on a connection. */
struct gl_pg_op {
  gl_op op;
  gl_pg_conn *conn;             /* referenced */
  gl_pg_purpose purpose;
  gl_pg_step step;
  gl_pg_call *call;             /* owned; a statement with its parameters; NULL: `list` runs */
  const char *list[GL_PG_LIST]; /* SQL without parameters, one after the other, up to a NULL; static, or in the connection */
  uint8_t at;                   /* which of the list */
  gl_pg_call *script;           /* owned: the text of a script, whose statements run one after the other */
  const char *from, *next;      /* of the script: where the statement that was sent begins, and where the next one is looked for */
  char *params;                 /* owned: what to connect with, keyword and value in turns, each with its NUL; ends with an empty one */
  gl_pg_entry *entry;           /* of `call`; valid while the op runs */
  gl_pg_rows rows;
  gl_pg_copied copied;
  size_t max_bytes;             /* of rows; 0: rows are dropped */
  int max_rows;                 /* the rest is dropped */
  int64_t affected;             /* rows that were inserted, updated, deleted */
  gl_pg_fault fault;
  bool repeated;                /* it was: the prepared statement was not valid any more */
  bool prepared;                /* `call` is the server's unnamed prepared statement */
  bool described;               /* the types of the parameters were looked at */
  bool entered;                 /* it is in a transaction of its own */
  char text[80];                /* SQL that was put together */
};

/* Makes a connection, with one reference, the caller's. Counted in census.handles until it is lost. NULL: out of memory. */
gl_pg_conn *gl_pg_conn_new(gl_host *h, const char *init_sql, bool unnamed);
void gl_pg_conn_unref(gl_pg_conn *c);

static inline bool gl_pg_conn_is_foreign(const gl_pg_conn *c) { return c->process != c->host->process; }

/* Queues `op`, which takes a reference, and waits up to `timeout` seconds. Returns and raises what the `push` of its optype does. */
int gl_pg_conn_await(lua_State *L, gl_pg_op *op, gl_pg_conn *c, double timeout);

/* The `cancel` of every optype here. */
void gl_pg_op_cancel(gl_op *op);

/* The last call of every `free`. */
void gl_pg_op_free(gl_op *op);

/* Closes the connection at once; whatever runs or waits fails with this fault. Does nothing with one that is lost already. */
void gl_pg_conn_lose(gl_pg_conn *c, const char *code, const char *why);

/* Is the connection fit for its next user: nothing runs, no transaction, an unchanged session? */
bool gl_pg_conn_clean(const gl_pg_conn *c);

/* Does anything run on it still, be it a statement that was given up? */
bool gl_pg_conn_busy(const gl_pg_conn *c);

/* Has nobody ended it meanwhile? Looks at the socket. */
bool gl_pg_conn_alive(gl_pg_conn *c);

/* Is a transaction open, whoever began it? False while something runs. */
bool gl_pg_conn_in_transaction(const gl_pg_conn *c);

/* ---- for statement.c, connect.c, notes.c and copy.c ---- */

/* At the end of the turn what waits is started, and notifications are handed out. */
void gl_pg_conn_queue_turn(gl_pg_conn *c);

/* Waits for these events (UV_READABLE ...) of libpq's socket; 0: for none. False: no memory or descriptors. */
bool gl_pg_conn_watch(gl_pg_conn *c, int events);
void gl_pg_conn_unwatch(gl_pg_conn *c);

/* Sends what libpq has gathered, as far as the socket takes it, and waits for what comes. */
void gl_pg_conn_flush(gl_pg_conn *c);

/* Closes the connection for the reason that libpq gives. */
void gl_pg_conn_lose_as_said(gl_pg_conn *c);

/* Has the server stop what it does, in time of the connection's own. No op is the running one. */
void gl_pg_conn_drain(gl_pg_conn *c);

/* The running op has ended, with what is in its fault, or with a status of libuv; what waits is started. */
void gl_pg_conn_finish(gl_pg_op *op, int status);

/* Gives up the running op, whose fault or status is set: it is done, and the server is asked to stop. */
void gl_pg_conn_stop(gl_pg_op *op, int status);

#endif
