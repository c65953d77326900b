/* SPDX-License-Identifier: MIT
 *
 * Notifications (LISTEN, NOTIFY): what the server sends a connection without being asked. They wait in libpq until they are asked for,
 * one at a time. A connection that somebody listens to is read only while somebody waits on it, so that no more of them wait than one
 * read has given: what does not fit stays with the server.
 *
 *     gl_pg_hear --> on c->hearers --a notification; gl_pg_notes_ring; the connection is lost; time is over--> done
 */
#ifndef GL_DB_POSTGRES_NOTES_H
#define GL_DB_POSTGRES_NOTES_H

#include <lua.h>

#include "db/postgres/conn.h"

/* Waits up to `timeout` seconds for a notification of a connection that `listens`. Pushes its channel and its payload; nothing, when somebody has rung. Raises
 * ETIMEDOUT, and why the connection was lost. Statements run on the connection meanwhile. */
int gl_pg_hear(lua_State *L, gl_pg_conn *c, double timeout);

/* Has one that waits in gl_pg_hear, or the next one that comes, return nothing. */
void gl_pg_notes_ring(gl_pg_conn *c);

/* Hands out what the connection has read. */
void gl_pg_notes_hand_out(gl_pg_conn *c);

/* Nobody hears anything any more: the connection was lost. */
void gl_pg_notes_end(gl_pg_conn *c);

#endif
