/* SPDX-License-Identifier: MIT
 *
 * The PROXY protocol as a filter of a stream (net/stream.h): it takes the header off, and is gone with it. No function here calls Lua or waits.
 *
 *     (none) --gl_proxied_begin--> waiting --on_bytes: the header is whole, or none is there: `ready`--> (none)
 *                                     '--the wire ends: gl_stream_end; gl_stream_close--> freed with the stream
 *
 *  1. `ready` is called once, before any data; never when the stream ends or is closed first. Nothing is written before.
 *  2. The filter is off the stream when `ready` is called, so that another one (net/tls.h) can take its place.
 *  3. How long the header may take is the user's to limit.
 */
#ifndef GL_NET_PROXIED_H
#define GL_NET_PROXIED_H

#include "net/proxy_header.h"
#include "net/stream.h"

/* What is called when the header is there. `what` NULL: what came is none. `rest`: the bytes behind it, for gl_tls_begin or user->data, valid
 * during the call. */
typedef void (*gl_proxied_ready)(gl_stream *s, const gl_proxied *what, const char *rest, size_t n);

/* Waits for the header of a stream that has sent nothing yet. False: out of memory. */
bool gl_proxied_begin(gl_stream *s, gl_proxied_ready ready);

#endif
