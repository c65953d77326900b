/* SPDX-License-Identifier: MIT
 *
 * TLS as a filter of a stream: its user reads and writes as before, in the clear, both at once. The handshake runs by
 * itself; what is written before it is over waits. The cryptography runs in the loop. No function here
 * calls Lua or waits.
 */
#ifndef GL_NET_TLS_H
#define GL_NET_TLS_H

#include "net/stream.h"
#include "net/tls_config.h"

typedef struct gl_tls_start {
  gl_tls_config *config;       /* referenced */
  const char *name;            /* client: whom to ask for (SNI) and to verify, a host name or an IP address; NULL = nobody */
  double timeout;              /* seconds for the handshake */
  void (*ready)(gl_stream *s, int status); /* it is over, before any data; not called when the stream is closed first; may be NULL */
  SSL_SESSION *resume;         /* client: of an earlier connection to the same; NULL = none */
  void (*session)(gl_stream *s, SSL_SESSION *session); /* client: there is one to resume by later; a reference is the callee's; may be NULL */
  const char *received;        /* what has already been read and belongs to it */
  size_t received_len;
} gl_tls_start;

/* What a connection agreed on. */
typedef struct gl_tls_info {
  const char *protocol, *cipher; /* "TLSv1.3" */
  const char *server_name;       /* what the client asked for, or NULL */
  const char *alpn;              /* not terminated */
  unsigned alpn_len;             /* 0 = none */
  bool resumed;
  bool verified;                 /* the peer has a certificate, and it was checked */
  char subject[512];             /* of the peer's certificate, "CN=a.test,O=A"; "" = it has none */
  char issuer[512];
  char fingerprint[65];          /* SHA-256, hex */
  char expires[32];              /* "2030-01-31T12:00:00Z" */
} gl_tls_info;

/* Begins, on a stream that has no filter, and makes it read. What is queued in it leaves in the clear, first. False:
 * out of memory, nothing was changed. */
bool gl_tls_begin(gl_stream *s, const gl_tls_start *start);

/* Is the handshake over and did it succeed? */
bool gl_tls_secured(const gl_stream *s);

/* Why the stream ended with UV_EPROTO, and the code of it: ETLS, or ETRUNCATED. NULL: not by a fault of TLS. */
const char *gl_tls_fault(const gl_stream *s, const char **code);

/* The SHA-256 of the public key (SubjectPublicKeyInfo) in the peer's certificate. False: it has none. Of a secured stream. */
bool gl_tls_key_hash(const gl_stream *s, uint8_t out[32]);

/* Of a secured stream. The strings live as long as the stream. */
void gl_tls_describe(const gl_stream *s, gl_tls_info *out);

#endif
