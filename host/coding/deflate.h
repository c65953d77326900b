/* SPDX-License-Identifier: MIT
 *
 * Messages in plain deflate, as WebSockets have them (RFC 7692, 7.2): a message is compressed by itself, or with what the messages before
 * it had, and ends without the four bytes of an empty block that every message would end with. No Lua, no loop; the memory is counted
 * (core/memory.h). The caller has loaded zlib (core/library.h).
 *
 *     gl_deflater     ready --gl_deflate_message--> ready
 *     gl_inflater     ready --gl_inflate_some: MORE, FULL--> inside --gl_inflate_end: MORE--> ready
 *                                 |                            '------gl_inflate_end: FULL, emptied and called again
 *                                 '--BROKEN, NO_MEMORY--> failed: gl_inflater_free only
 *
 * What is needed for one message only is lent by a gl_deflate_pool, so that a thousand connections cost what one does.
 */
#ifndef GL_CODING_DEFLATE_H
#define GL_CODING_DEFLATE_H

#include <stdint.h>

#include "coding/decoder.h"

#define GL_DEFLATE_WINDOW_MIN 8  /* bits of the smallest window: 256 bytes */
#define GL_DEFLATE_WINDOW_MAX 15 /* bits of the largest window: 32 KiB */

typedef struct gl_deflater gl_deflater;
typedef struct gl_inflater gl_inflater;
typedef struct gl_deflate_pool gl_deflate_pool;

/* Makes a compressor that refers back over 2^window bytes at most. NULL: out of memory. */
gl_deflater *gl_deflater_new(int window);
void gl_deflater_free(gl_deflater *d); /* NULL does nothing */

/* Compresses a message of n > 0 bytes to `out`; n and `room` are below 4 GiB. `forget`: no message after this one refers to
 * it. Returns the number of bytes; 0: `room` is too small for them, and this message, which the peer never sees so, and all before it are forgotten. */
size_t gl_deflate_message(gl_deflater *d, const void *bytes, size_t n, void *out, size_t room, bool forget);

/* Forgets the messages so far: the next one refers to none of them. */
void gl_deflater_forget(gl_deflater *d);

/* Makes a decompressor for messages that refer back over 2^window bytes at most. NULL: out of memory. */
gl_inflater *gl_inflater_new(int window);
void gl_inflater_free(gl_inflater *i); /* NULL does nothing */

/* Decompresses a piece of a message until the input is read (MORE) or the room is full (FULL). */
gl_decoded gl_inflate_some(gl_inflater *i, gl_coding_io *io);

/* Ends the message after its last piece: `io` has room and no input. MORE: the message is complete; FULL: call again with more room; BROKEN:
 * the message was cut short. `forget`: no message after this one refers to it. */
gl_decoded gl_inflate_end(gl_inflater *i, gl_coding_io *io, bool forget);

/* Makes a pool with one reference, the caller's. NULL: out of memory. */
gl_deflate_pool *gl_deflate_pool_new(void);
gl_deflate_pool *gl_deflate_pool_ref(gl_deflate_pool *pool);
void gl_deflate_pool_unref(gl_deflate_pool *pool);

/* The pool's own compressor with this window, for messages that refer to no other; valid until the pool is freed. NULL: out of memory. */
gl_deflater *gl_deflate_pool_deflater(gl_deflate_pool *pool, int window);

/* Lends a decompressor with the largest window for one message, until it is given back. NULL: out of memory. */
gl_inflater *gl_deflate_pool_take(gl_deflate_pool *pool);

/* Takes a decompressor back, which is ready; its user frees one that is not. */
void gl_deflate_pool_give(gl_deflate_pool *pool, gl_inflater *i);

#endif
