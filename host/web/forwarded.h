/* SPDX-License-Identifier: MIT
 *
 * What trusted proxies say about the client of a request: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). Anybody can write
 * such headers; they count only on a connection whose peer is one of the server's trusted proxies, and only from right to left: each proxy
 * adds the address of its own peer at the end, so what is left of the first address that is not a trusted proxy's was written by that client.
 *
 *     X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2     peer 10.0.0.1, trusted 10.0.0.0/8
 *                      (forged) the client   a proxy's
 */
#ifndef GL_WEB_FORWARDED_H
#define GL_WEB_FORWARDED_H

#include "net/address.h"
#include "net/networks.h"
#include "web/request.h"

/* The headers that count: bits of gl_web_server.proxy_headers. GL_FORWARDED stands alone: a proxy that sets one kind of them passes the other
 * on as its client wrote it. */
enum { GL_X_FORWARDED_FOR = 1, GL_X_FORWARDED_PROTO = 2, GL_X_FORWARDED_HOST = 4, GL_FORWARDED = 8 };

/* Sets `client`, `host` and `secure` of a request that came over a trusted proxy by its headers, as far as those are right. */
void gl_forwarded_read(gl_request *r, const gl_networks *trusted, int headers);

/* Writes the address that `client` has, in the form of a req.remote. A port that no proxy told is 0. */
void gl_forwarded_client(const gl_request *r, char out[GL_ADDRESS_MAX]);

#endif
