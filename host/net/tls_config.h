/* SPDX-License-Identifier: MIT
 *
 * What TLS connections of one kind share: certificates, keys, whom they trust. No Lua, no loop. Certificates and
 * keys are PEM texts, or paths of PEM files, which are read at once.
 */
#ifndef GL_NET_TLS_CONFIG_H
#define GL_NET_TLS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#define GL_TLS_WHY 256 /* bytes of a message */

typedef struct gl_tls_config gl_tls_config;

typedef struct gl_tls_settings {
  bool server;
  const char *cert;    /* its chain may follow in the same text; NULL = none */
  const char *key;     /* NULL = it is beside `cert` */
  const char *ca;      /* a client trusts these instead of the system's; a server asks clients for a certificate of these */
  const gl_tls_config *trusting; /* client without `ca`: as this one does, which has read the system's already; may be NULL */
  bool verify;         /* client: check the certificate and its name */
  bool resumes;        /* client: sessions are kept, to be resumed (gl_tls_start.session) */
  int min_version;     /* 13: TLS 1.3 at least; 0 and 12: TLS 1.2 */
  bool optional;       /* server with `ca`: a client may have no certificate */
  const unsigned char *alpn; /* protocols, each after a byte with its length; a server chooses the first it shares */
  size_t alpn_len;
} gl_tls_settings;

typedef struct gl_tls_name gl_tls_name;

struct gl_tls_config {
  SSL_CTX *ctx;
  BIO_METHOD *bio;      /* of the filter (net/tls.c) */
  gl_tls_name *names;   /* server: certificates by the name the client asks for */
  unsigned char *alpn;
  size_t alpn_len;
  unsigned refs;
  bool server;
  bool shared;          /* its first owner keeps it for others */
  bool verify;
  bool any_name;        /* server: it has a certificate for names it does not know */
};

/* One reference is the caller's. NULL, and why: "cert: site.pem: No such file or directory". */
gl_tls_config *gl_tls_config_new(const gl_tls_settings *set, char why[GL_TLS_WHY]);

/* Server: another certificate, for clients that ask for this name ("www.a.test", or "*.a.test" for all just below). */
bool gl_tls_config_add_name(gl_tls_config *c, const gl_tls_settings *set, const char *name, char why[GL_TLS_WHY]);

void gl_tls_config_unref(gl_tls_config *c);

/* A client got a session to resume by: the callback of contexts that keep them (net/tls.c). */
int gl_tls_new_session(SSL *ssl, SSL_SESSION *session);

/* What went wrong in OpenSSL last: the first cause it noted. */
void gl_tls_reason(char *out, size_t size);

#endif
