/* SPDX-License-Identifier: MIT
 *
 * nghttp2, the codec of HTTP/2, as this host uses it: loaded when the first client speaks HTTP/2, with memory that is counted and may be
 * refused, and with the flow control of streams in our hands. No Lua, no loop.
 */
#ifndef GL_H2_SESSION_H
#define GL_H2_SESSION_H

#include <stdbool.h>

#include <nghttp2/nghttp2.h>

/* Is nghttp2 there? Loads it, once per process. */
bool gl_h2_library(void);

/* Makes a session of a server, whose callbacks are set by `set` (once per process), with `user` as their last argument. NULL: out of
 * memory. Call after gl_h2_library was true. */
nghttp2_session *gl_h2_session_new(void (*set)(nghttp2_session_callbacks *callbacks), void *user);

#endif
