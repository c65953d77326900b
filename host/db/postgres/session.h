/* SPDX-License-Identifier: MIT
 *
 * What belongs to a session of PostgreSQL, and must not reach the connection's next user: parameters that were set, temporary
 * tables, locks, subscriptions. The server says of some statements what they were; of others the words tell. What a function of the
 * server's does is not seen.
 */
#ifndef GL_DB_POSTGRES_SESSION_H
#define GL_DB_POSTGRES_SESSION_H

#include <stdbool.h>

/* Does the statement have words that may leave something in the session? */
bool gl_pg_session_by_text(const char *sql);

/* Does a statement with this tag leave something there? `script`: it is one of several in `sql`. */
bool gl_pg_session_by_tag(const char *tag, const char *sql, bool script);

#endif
