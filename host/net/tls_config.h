/* SPDX-License-Identifier: MIT
 *
 * The configuration that TLS connections of one kind share: certificates, keys, trusted authorities. No Lua, no loop. Certificates and
 * keys are given as PEM texts, or as paths of PEM files, which are read when the configuration is made.
 */
#ifndef GL_NET_TLS_CONFIG_H
#define GL_NET_TLS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "net/tls_tickets.h"

#define GL_TLS_WHY 256 /* bytes of a message */

typedef struct gl_tls_config gl_tls_config;

typedef struct gl_tls_settings {
  bool server;         /* else for clients */
  const char *cert;    /* the certificate, behind which its chain may follow; NULL = none */
  const char *key;     /* the key of the certificate; NULL = it is in `cert`, too */
  const char *ca;      /* a client trusts these authorities instead of the system's; a server asks clients for a certificate of theirs */
  const gl_tls_config *trusting; /* client without `ca`: a configuration whose authorities, the system's, are shared; NULL = none */
  bool verify;         /* client: check the server's certificate and its name */
  bool resumes;        /* client: the sessions of connections are passed to gl_tls_start.session */
  long session_timeout; /* server: seconds for which a session can be resumed; 0 = none can */
  int min_version;     /* 13: TLS 1.3 at least; 0 and 12: TLS 1.2 */
  bool optional;       /* server with `ca`: a client may have no certificate */
  const unsigned char *alpn; /* protocols, each after a byte with its length; a server chooses the first that the client has, too */
  size_t alpn_len;     /* bytes of all of `alpn`; 0 = none */
} gl_tls_settings;

typedef struct gl_tls_name gl_tls_name;

struct gl_tls_config {
  SSL_CTX *ctx;
  BIO_METHOD *bio;      /* of the filter's wire (net/tls.c), made for the first connection; NULL: not yet */
  gl_tls_name *names;   /* server: further certificates, by the name for which a client asks */
  gl_tickets tickets;   /* server */
  unsigned char *alpn;  /* owned; see gl_tls_settings */
  size_t alpn_len;
  unsigned refs;
  bool server;
  bool shared;          /* the handle in Lua keeps its reference when gl_tls_take gives one to a connection */
  bool verify;          /* client: the server's certificate is checked */
  bool any_name;        /* server: `ctx` has a certificate, for clients that ask for no name of `names` */
};

/* Which contents of its file a setting with a path stands for: equal as long as the file is not written, replaced or removed. */
typedef struct gl_tls_version {
  uint64_t device, inode, size;
  int64_t modified, changed; /* ns */
} gl_tls_version;

/* Returns the version of the file of `cert`, `key` or `ca`; zeros for a PEM text, and for a file that is not there. */
gl_tls_version gl_tls_version_of(const char *pem);

/* Loads OpenSSL and makes a configuration, with one reference, the caller's. Reads files. NULL: `why` says in words what failed, "cert:
 * site.pem: No such file or directory". */
gl_tls_config *gl_tls_config_new(const gl_tls_settings *set, char why[GL_TLS_WHY]);

/* Adds to a server's configuration the certificate of `set`, for clients that ask for `name`: "www.a.test", or "*.a.test" for all names
 * one level below a.test. Reads files. False: `why` says in words what failed. */
bool gl_tls_config_add_name(gl_tls_config *c, const gl_tls_settings *set, const char *name, char why[GL_TLS_WHY]);

/* Gives a reference up; the last one frees the configuration. Does nothing with NULL. */
void gl_tls_config_unref(gl_tls_config *c);

/* OpenSSL's callback for a new session of a client (gl_tls_settings.resumes). Returns 1 if gl_tls_start.session took the reference. */
int gl_tls_new_session(SSL *ssl, SSL_SESSION *session);

/* Writes the first error in OpenSSL's queue, its cause, in words. */
void gl_tls_reason(char *out, size_t size);

#endif
