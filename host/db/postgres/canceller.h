/* SPDX-License-Identifier: MIT
 *
 * Asks the server to stop what a connection runs: on a connection of its own, which libpq can only make by blocking, so that each request
 * has a thread. The thread pool will not do: a server that is stopped keeps each request until it goes on, and files have to be read
 * meanwhile.
 *
 * A cancel hits whatever its connection runs when it arrives. So whoever asks must not send anything until gl_pg_canceller_is_done.
 */
#ifndef GL_DB_POSTGRES_CANCELLER_H
#define GL_DB_POSTGRES_CANCELLER_H

#include <stdbool.h>

#include <libpq-fe.h>

typedef struct gl_pg_canceller gl_pg_canceller;

/* Begins a request. NULL: there are too many already, or no memory or threads; nothing was asked then. */
gl_pg_canceller *gl_pg_canceller_new(PGconn *pg);

/* Has the server been asked, or could it not be? */
bool gl_pg_canceller_is_done(const gl_pg_canceller *c);

/* Nobody wants to know any more: `c` is not valid from here on. Its thread goes on. */
void gl_pg_canceller_drop(gl_pg_canceller *c);

#endif
