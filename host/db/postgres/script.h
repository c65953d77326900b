/* SPDX-License-Identifier: MIT
 *
 * Where the statements of a script end, as psql sees it: at a semicolon that is outside of texts, names, comments, parentheses and the
 * body of a function. Takes standard_conforming_strings for granted, which is the server's default.
 */
#ifndef GL_DB_POSTGRES_SCRIPT_H
#define GL_DB_POSTGRES_SCRIPT_H

#include <stdbool.h>

/* Returns where the statement that begins at `sql` ends: at its semicolon, or at the NUL. `*blank`: there is no statement in it. */
const char *gl_pg_script_end(const char *sql, bool *blank);

#endif
