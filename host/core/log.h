/* SPDX-License-Identifier: MIT
 *
 * Records on stderr: what a running host tells its operator. A record is one line
 *
 *     2026-11-29T08:10:12.345Z error: GET /orders [5f1c8a02d94be376]: app.lua:3: no such user\n"x"
 *
 * and lines that begin with a tab, if it has a traceback. What a client or a script chose (a path, a message) could else
 * forge a record, or speak to the terminal of whoever reads it: control characters in it are written as \n, \x1b, \u{85}.
 */
#ifndef GL_CORE_LOG_H
#define GL_CORE_LOG_H

#include <stddef.h>

#include "core/host.h"

typedef enum gl_log_level { GL_LOG_ERROR, GL_LOG_WARNING, GL_LOG_INFO } gl_log_level;

/* Writes a record: `subject` (what it is about) and `message`, of n bytes; `detail` (NULL: none) are lines of their own, kept
 * apart by newlines. Allocates nothing, calls no Lua; blocks as long as stderr does. */
void gl_log(const gl_host *h, gl_log_level level, const char *subject, const char *message, size_t n, const char *detail);

/* Writes text to stderr with its control characters escaped, but for the newlines and tabs of `lines`, where each newline is
 * followed by a tab at least. */
void gl_log_text(const char *text, size_t n, bool lines);

#endif
