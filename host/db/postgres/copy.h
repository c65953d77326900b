/* SPDX-License-Identifier: MIT
 *
 * COPY from and to the client. A statement begins it, and is done then; what follows are ops of their own, one after the other, until the
 * server has said how it went. Nothing else runs on the connection meanwhile.
 *
 *     (none) --GL_PG_COPIES: COPY ... TO STDOUT----> OUT --GL_PG_COPY_READS: the last row--> (none), and the server's answer
 *        |                                            '--gl_pg_copy_give_up--> the connection drains; rows are dropped--> (none)
 *        '-----GL_PG_COPIES: COPY ... FROM STDIN--> IN --GL_PG_COPY_WRITES--> IN
 *                                                    |--GL_PG_COPY_ENDS--> (none), and the server's answer
 *                                                    '--gl_pg_copy_give_up--> the connection drains; the server is told--> (none)
 *
 * Nothing is read while nobody asks for rows, so that the server waits. libpq does not say before the end that the server has refused a row.
 */
#ifndef GL_DB_POSTGRES_COPY_H
#define GL_DB_POSTGRES_COPY_H

#include "db/postgres/conn.h"

/* Has a COPY begun, or goes on with it, as far as that is possible now. Returns whether it is over, and the server's answer can be read. */
bool gl_pg_copy_go_on(gl_pg_conn *c);

/* Is told that the server's result begins a COPY. Returns false, if it is none that can be done. */
bool gl_pg_copy_begin(gl_pg_conn *c, ExecStatusType status);

/* Ends a COPY in which nobody reads or writes, in time of the connection's own. Does nothing without one. */
void gl_pg_copy_give_up(gl_pg_conn *c);

#endif
