/* SPDX-License-Identifier: MIT
 *
 * What a statement does to the session, beside the data: PRAGMA, ATTACH, temporary tables, and what asks what the connection
 * did last. A connection of a pool goes from one user to the next, so that such a statement runs only where its effect can be
 * seen and is over with: in a transaction, or in a script of several statements. What changed the session is undone by opening
 * the connection anew. SQLite's authorizer tells, when a statement is prepared.
 */
#ifndef GL_DB_SQLITE_SESSION_H
#define GL_DB_SQLITE_SESSION_H

#include "db/sqlite/engine.h"

/* Watch what is prepared from now on. */
void gl_sqlite_session_observe(gl_sqlite *e);

/* A statement is about to be prepared: forget what was seen. `alone`: nothing in the same script could see what it does. */
void gl_sqlite_session_begin(gl_sqlite *e, bool alone);

/* It could not be prepared: well, or why it was refused. */
int gl_sqlite_session_refused(gl_sqlite *e, int rc, gl_sqlite_fault *fault);

/* May a statement run, of which this was seen? The session is changed then, if that is
 * what it does. */
int gl_sqlite_session_check(gl_sqlite *e, const gl_sqlite_seen *seen, bool alone, gl_sqlite_fault *fault);

#endif
