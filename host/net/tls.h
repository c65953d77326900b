/* SPDX-License-Identifier: MIT
 *
 * TLS as a filter of a stream (net/stream.h): the stream's user reads and writes plain bytes as before, in both directions at once. The
 * handshake runs by itself; bytes that the user writes before its end wait in `plain`. The cryptography runs in the loop; that of
 * handshakes, a millisecond each, as long as there is time for it in a turn (gl_at_turn_end_long). No function here calls Lua or waits.
 *
 *     (none) --gl_tls_begin--> shaking --shake: SSL_do_handshake is done--> secured --stopped: close_notify--> ended (UV_EOF)
 *                                 |                                            |
 *                                 |                                            |--tls_ended: the wire ended first--> ended (ETRUNCATED)
 *                                 |                                            '--deliver, tls_fill: fail_ssl--> broken (ETLS)
 *                                 |--shake: fail_ssl; tls_ended: the wire ended--> broken (ETLS, or the error of the wire)
 *                                 '--on_limit--> broken (ETIMEDOUT)
 *
 *     any --gl_stream_close, on_closed: tls_free--> freed
 *
 * Bytes, each arrow a function:
 *
 *     wire --tls_received, while it shakes--> `waiting` --on_turn-.
 *       '----tls_received: take------------------------------------'--> wire_read--> SSL --deliver: SSL_read--> user->data
 *     wire <--send_output-- s->output <--wire_write-- SSL <--tls_fill: SSL_write-- s->plain <--gl_stream_write-- user
 *
 *  1. `ready` is called once, by handshake_over, before any data and before the end; never when the stream is closed first.
 *  2. Nothing of `plain` leaves before the handshake is over (`held`). What was in `output` before gl_tls_begin leaves in the clear,
 *     before the first byte of the handshake.
 *  3. `limit` is armed exactly while the stream is shaking.
 *  4. `in` points to received bytes only during `take`; OpenSSL has taken all of them when it returns, unless the stream ended.
 *     `waiting` has bytes only while the stream is shaking and `turn` is queued; so has `end`, which comes after them. More than two reads
 *     do not wait: the stream is `stalled` until the next step of the handshake, unless the other side has hung up.
 *  5. An end is UV_EOF only after the other side's close_notify: without one somebody else may have cut the connection. An error of the
 *     wire is passed on as it is.
 *  6. Our close_notify is sent once, after all of `plain`. A forked child sends none for a connection of its parent that it closes.
 *  7. The memory of the filter is freed only when no hook refers to it.
 *  8. A failure breaks the stream (gl_stream_break), which calls tls_ended with its status; the alert that OpenSSL wrote leaves before.
 */
#ifndef GL_NET_TLS_H
#define GL_NET_TLS_H

#include "net/stream.h"
#include "net/tls_config.h"

typedef struct gl_tls_start {
  gl_tls_config *config;       /* the stream takes a reference of its own */
  const char *name;            /* client: the host name (also sent as SNI) or IP address that the server must prove; NULL, "" = none */
  double timeout;              /* seconds for the handshake */
  void (*ready)(gl_stream *s, int status); /* called when the handshake is over, with 0 or UV_E*; may be NULL */
  SSL_SESSION *resume;         /* client: the session of an earlier connection to the same server; NULL = none */
  void (*session)(gl_stream *s, SSL_SESSION *session); /* client: called with a session to resume, the callee's; may be NULL */
  const char *plain_answer;    /* server: what a client that speaks HTTP in the clear is sent, a static text; NULL = nothing */
  const char *received;        /* bytes of the handshake that were read before; used during gl_tls_begin */
  size_t received_len;
} gl_tls_start;

/* The parameters on which the two sides of a connection agreed. */
typedef struct gl_tls_info {
  const char *protocol, *cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
  const char *server_name;       /* the name for which the client asked; NULL = none */
  const char *alpn;              /* the protocol, without a NUL */
  unsigned alpn_len;             /* 0 = none */
  bool resumed;                  /* the handshake resumed a session */
  bool verified;                 /* the peer has a certificate, and it was checked */
  char subject[512];             /* of the peer's certificate, "CN=a.test,O=A"; "" = the peer has none */
  char issuer[512];              /* of the peer's certificate */
  char fingerprint[65];          /* SHA-256 of the peer's certificate, in hexadecimal */
  char expires[32];              /* the end of the peer's certificate, "2030-01-31T12:00:00Z" */
} gl_tls_info;

/* Begins a handshake on a stream that has no filter, and makes the stream read. Its first step is at the end of the turn, or later. The
 * stream may be broken already when this returns true: `ready` was then called. False: out of memory, nothing was changed. */
bool gl_tls_begin(gl_stream *s, const gl_tls_start *start);

/* Is the handshake over, and did it succeed? */
bool gl_tls_secured(const gl_stream *s);

/* Returns in words why the handshake or the connection failed, and sets *code to ETLS, ETRUNCATED or ETIMEDOUT; the text lives as long as
 * the stream. NULL: the stream has no TLS, or TLS has not failed. */
const char *gl_tls_fault(const gl_stream *s, const char **code);

/* Did the two sides agree (by ALPN) on this protocol? The stream is secured. */
bool gl_tls_speaks(const gl_stream *s, const char *protocol);

/* Writes the SHA-256 of the public key (SubjectPublicKeyInfo) in the peer's certificate. The stream is secured. False: the peer has no
 * certificate, or memory is out. */
bool gl_tls_key_hash(const gl_stream *s, uint8_t out[32]);

/* Describes a secured stream. The strings live as long as the stream. */
void gl_tls_describe(const gl_stream *s, gl_tls_info *out);

#endif
