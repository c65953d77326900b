/* SPDX-License-Identifier: MIT
 *
 * Making the connection: PQconnectPoll until it is there. It never asks a resolver, as `params` has addresses.
 */
#ifndef GL_DB_POSTGRES_CONNECT_H
#define GL_DB_POSTGRES_CONNECT_H

#include "db/postgres/conn.h"

/* Begins with s->params. Ends in gl_pg_statement_go_on, or with the connection lost. */
void gl_pg_connect_start(gl_pg_op *s);

/* The socket is ready. */
void gl_pg_connect_step(gl_pg_op *s);

#endif
