/* SPDX-License-Identifier: MIT
 *
 * Checks and computations of the opening handshake (RFC 6455, 4): keys, and the origins of the pages that ask for a WebSocket. Plain C: no
 * Lua, no loop.
 */
#ifndef GL_WS_HANDSHAKE_H
#define GL_WS_HANDSHAKE_H

#include <stdbool.h>

#include "h1/fields.h"

#define GL_WS_KEY 24    /* bytes of a Sec-WebSocket-Key */
#define GL_WS_ACCEPT 28 /* bytes of a Sec-WebSocket-Accept */

/* Is the client's key 16 bytes in base64? */
bool gl_ws_is_key(gl_text key);

/* Writes the Sec-WebSocket-Accept of a valid key, with a final 0. The caller has loaded libcrypto (core/library.h). */
void gl_ws_accept_key(gl_text key, char out[GL_WS_ACCEPT + 1]);

/* The origin of a page, as places in the text that was read. */
typedef struct gl_origin {
  gl_text scheme, host;
  long port; /* 0: the scheme implies none, and none was given */
} gl_origin;

/* Reads "scheme://host[:port]". False: the text is no such origin. */
bool gl_origin_read(gl_text text, gl_origin *o);

/* Does a Host header name the host of the origin? Either may leave out the port that the origin's scheme implies. */
bool gl_origin_is_host(const gl_origin *o, gl_text host);

/* Are the two origins the same, without regard to case? */
bool gl_origin_is_same(const gl_origin *a, const gl_origin *b);

#endif
