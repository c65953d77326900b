/* SPDX-License-Identifier: MIT
 *
 * Records on stderr, by which a running host tells its operator what has happened. A record is one line
 *
 *     2026-11-29T08:10:12.345Z error: GET /orders [5f1c8a02d94be376]: app.lua:3: no such user\n"x"
 *
 * and, if there is a traceback, lines that begin with a tab. Text that a client or a script chose (a path, a message) must not
 * forge a record or control the reader's terminal: its control characters are written as \n, \x1b, \u{85}.
 */
#ifndef GL_CORE_LOG_H
#define GL_CORE_LOG_H

#include <stddef.h>

#include "core/host.h"

typedef enum gl_log_level { GL_LOG_ERROR, GL_LOG_WARNING, GL_LOG_INFO } gl_log_level;

/* Writes a record about `subject` with a `message` of n bytes; the lines of `detail` (NULL: none), separated by newlines, follow
 * the first line. Allocates nothing, calls no Lua; blocks as long as stderr does. */
void gl_log(const gl_host *h, gl_log_level level, const char *subject, const char *message, size_t n, const char *detail);

/* Writes text to stderr with its control characters escaped. `lines`: newlines and tabs are kept, and each newline is followed
 * by a tab. */
void gl_log_text(const char *text, size_t n, bool lines);

#endif
