/* SPDX-License-Identifier: MIT
 *
 * SQLite's allocator: memory of SQLite counts as the host's (core/memory.h), and may be refused, since SQLite copes with a refusal
 * (SQLITE_NOMEM).
 */
#ifndef GL_DB_SQLITE_MEMORY_H
#define GL_DB_SQLITE_MEMORY_H

/* Gives SQLite its allocator; call after the library was loaded and before its first connection is opened. Does nothing when
 * somebody else in the process, such as a C module of a script, uses SQLite already: SQLite's memory is then not counted. */
void gl_sqlite_memory_init(void);

#endif
