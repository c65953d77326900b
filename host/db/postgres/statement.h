/* SPDX-License-Identifier: MIT
 *
 * What the running op of a connection sends, step by step, and what becomes of the answers. Loop side; no Lua.
 *
 *     start --the op makes the connection--> CONNECT --gl_pg_statement_go_on--.
 *       |                                                                     v
 *       '--> advance: what comes next?  <---------------------------- each step's end
 *              |--it has lists, nothing has a name, and no transaction----> ENTER
 *              |--a statement was dropped from the cache, no transaction--> DEALLOCATE
 *              |--the statement was used before, or has lists-------------> PREPARE
 *              |--it has lists, and their types are not known-------------> DESCRIBE
 *              |--the statement, or the next of the list------------------> RUN; after ENTER: LEAVE
 *              '--nothing-------------------------------------------------> done
 *
 * RUN is repeated once, without a name, when the server has the prepared statement no more, or would not run it any more
 * as its rows have changed, and no transaction is open: in one, the server has given it up already.
 */
#ifndef GL_DB_POSTGRES_STATEMENT_H
#define GL_DB_POSTGRES_STATEMENT_H

#include "db/postgres/conn.h"

/* Starts the op, which is the running one from here on. */
void gl_pg_statement_start(gl_pg_op *s);

/* Goes on after the connection was made. */
void gl_pg_statement_go_on(gl_pg_op *s);

/* Takes a result, and owns it. May end the op, and lose the connection. */
void gl_pg_statement_result(gl_pg_op *s, PGresult *r);

/* Takes a result of a statement that was given up, and owns it: what it has done to the session is noted. May lose the connection. */
void gl_pg_statement_dropped(gl_pg_conn *c, PGresult *r);

/* The server is ready: the step has ended. */
void gl_pg_statement_ended(gl_pg_op *s);

#endif
