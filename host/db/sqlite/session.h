/* SPDX-License-Identifier: MIT
 *
 * The session: what a statement may do to its connection, beside the data. PRAGMA, ATTACH and temporary tables change the session;
 * changes() and last_insert_rowid() ask what the connection did last. A connection of a pool goes from one user to the next, so that
 * such a statement runs only where its own user alone sees the effect: in a transaction, in a script of several statements, or on a
 * connection that is pinned, where no statement is alone.
 * SQLite's authorizer says what a statement does, while the statement is prepared; a cached statement keeps what was noted.
 *
 *     gl_sqlite_session_begin --> sqlite3_prepare: on_action notes in `seen`, or denies
 *                                    |--prepared--> gl_sqlite_session_check --> the statement runs, or is refused
 *                                    '--denied, or an error--> gl_sqlite_session_refused --> the reason
 *
 *     The statement ...              alone, outside of a transaction    with others in a script    in a transaction
 *     asks (_ASKS)                   is refused                         runs                       runs
 *     changes the session (_CHANGES) is refused                         runs, then `changed`       runs, then `changed`
 *     sets foreign_keys              is refused                         runs, then `changed`       is refused: SQLite would ignore it
 *     reaches beyond the database    is refused                         is refused                 is refused
 *     does none of these             runs                               runs                       runs
 *
 *     unchanged --see_pragma, gl_sqlite_session_check--> changed --gl_sqlite_reset: closes, opens again--> unchanged
 *
 *  1. `changed` is set before the effect can take place: a pragma may take effect while it is prepared, so that see_pragma decides.
 *  2. A changed session is never clean: its next user gets a connection opened anew. The exception is a private database in memory,
 *     which closing would lose, and which has one connection for all.
 *  3. `init_sql` runs before gl_sqlite_session_observe: it may change the session, since it runs on every connection of the pool.
 */
#ifndef GL_DB_SQLITE_SESSION_H
#define GL_DB_SQLITE_SESSION_H

#include "db/sqlite/engine.h"

/* Notes what every statement does that is prepared from now on. e->db is open. */
void gl_sqlite_session_observe(gl_sqlite *e);

/* Forgets what was seen; call before each statement is prepared. `alone`: no other statement of its script could see the
 * effect, nor one of who has pinned the connection. */
void gl_sqlite_session_begin(gl_sqlite *e, bool alone);

/* Call when a statement could not be prepared, with the code of SQLite's failure, which `fault` describes. Returns that code, or
 * SQLITE_MISUSE and a description why the statement was refused. */
int gl_sqlite_session_refused(gl_sqlite *e, int rc, gl_sqlite_fault *fault);

/* May the prepared statement run, of which `seen` was noted? Returns SQLITE_OK, and marks the session as changed if the statement
 * does that; or SQLITE_MISUSE, described in `fault`. Call before each run, also of a cached statement. */
int gl_sqlite_session_check(gl_sqlite *e, const gl_sqlite_seen *seen, bool alone, gl_sqlite_fault *fault);

#endif
