/* SPDX-License-Identifier: MIT
 *
 * The extension permessage-deflate (RFC 7692): what the two sides agree on, and the state that a socket has for it. Without context takeover,
 * which is the default, a socket has next to none: what a message needs is lent by the pool. Plain C: no Lua, no loop.
 *
 *     server  gl_permessage_agree --true--> gl_permessage_new --a gl_permessage of the socket--> gl_permessage_free
 *                                 '-false: the handshake goes on without the extension
 *     client  gl_permessage_offer ... gl_permessage_accept --true--> gl_permessage_new, as above
 *                                                          '-false: the handshake has failed
 */
#ifndef GL_WS_PERMESSAGE_H
#define GL_WS_PERMESSAGE_H

#include "coding/deflate.h"
#include "h1/fields.h"

#define GL_PERMESSAGE_MOST ((size_t)512 * 1024) /* bytes of the largest message that is compressed: some 5 ms of work, which nothing interrupts */
#define GL_PERMESSAGE_TEXT 160                  /* bytes of the longest answer, with a final 0 */

/* What our side wants. */
typedef struct gl_permessage_wish {
  size_t threshold; /* bytes of the smallest message that is compressed */
  int window;       /* bits of both windows, at most */
  bool takeover;    /* messages refer to those before them: each socket has a compressor and a decompressor of its own */
} gl_permessage_wish;

/* What both sides agreed on. */
typedef struct gl_permessage_terms {
  int out_window, in_window;       /* bits of the windows of what we send and of what we receive */
  bool out_takeover, in_takeover;  /* may a message refer to those before it? */
} gl_permessage_terms;

typedef struct gl_permessage {
  gl_deflate_pool *pool; /* referenced */
  gl_permessage_terms terms;
  size_t threshold;
  gl_deflater *deflater; /* the socket's own, with takeover; NULL: none was needed yet */
  gl_inflater *inflater; /* the one at work on a message, or with takeover the one for all; NULL: none */
} gl_permessage;

/* Reads the offers of one field Sec-WebSocket-Extensions, best first, and takes the first that can be had (RFC 7692, 5.1 and 7.1). False: there is
 * none. */
bool gl_permessage_agree(gl_text offers, const gl_permessage_wish *wish, gl_permessage_terms *terms, char answer[GL_PERMESSAGE_TEXT]);

/* Writes what a client offers. */
void gl_permessage_offer(const gl_permessage_wish *wish, char out[GL_PERMESSAGE_TEXT]);

/* Reads the server's answer to that offer, a field that is there. False: it is none (RFC 7692, 7.1), and the client must fail the connection. */
bool gl_permessage_accept(gl_text answer, const gl_permessage_wish *wish, gl_permessage_terms *terms);

/* NULL: out of memory. */
gl_permessage *gl_permessage_new(gl_deflate_pool *pool, const gl_permessage_wish *wish, const gl_permessage_terms *terms);
void gl_permessage_free(gl_permessage *p); /* NULL does nothing */

/* Is a message of so many bytes worth the work? */
static inline bool gl_permessage_pays(const gl_permessage *p, size_t n) { return p && n >= p->threshold && n <= GL_PERMESSAGE_MOST; }

/* Does a message that is compressed for many sockets suit this one? It does in the largest window. */
static inline bool gl_permessage_shares(const gl_permessage *p) { return p->terms.out_window == GL_DEFLATE_WINDOW_MAX; }

/* Compresses a message that refers to no other, for all sockets that share it, to `out`. Returns as gl_permessage_deflate does. */
size_t gl_permessage_deflate_shared(gl_permessage *p, const void *bytes, size_t n, void *out);

/* Takes note that a message which was compressed for many is sent. The peer sees it between our own, so that these begin anew behind it. */
void gl_permessage_shared(gl_permessage *p);

/* Compresses a message of n bytes to `out`. Returns the number of bytes; 0: it would be no smaller than n, or memory is out: send it as it is. */
size_t gl_permessage_deflate(gl_permessage *p, const void *bytes, size_t n, void *out);

/* Decompresses a piece of a message; takes a decompressor for its first one. */
gl_decoded gl_permessage_inflate(gl_permessage *p, gl_coding_io *io);

/* Ends the message after its last piece, see gl_inflate_end. */
gl_decoded gl_permessage_end(gl_permessage *p, gl_coding_io *io);

#endif
