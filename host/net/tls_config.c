/* SPDX-License-Identifier: MIT */
#include "net/tls_config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/library.h"
#include "core/memory.h"

struct gl_tls_name {
  gl_tls_name *next;
  SSL_CTX *ctx;
  char name[];
};

void gl_tls_reason(char *out, size_t size) {
  unsigned long e = ERR_peek_error();
  const char *text = ERR_SYSTEM_ERROR(e) ? strerror((int)ERR_GET_REASON(e)) : ERR_reason_error_string(e);
  snprintf(out, size, "%s", text ? text : "unknown reason");
}

/* ---- PEM ---- */

static bool is_text(const char *pem) { return strstr(pem, "-----BEGIN") != NULL; }

/* Writes "cert: site.pem: reason" to `why`, without the path when `pem` is a text; returns false. */
static bool complain(char why[GL_TLS_WHY], const char *what, const char *pem) {
  char reason[128];
  gl_tls_reason(reason, sizeof reason);
  if (is_text(pem)) snprintf(why, GL_TLS_WHY, "%s: %s", what, reason);
  else snprintf(why, GL_TLS_WHY, "%s: %.100s: %s", what, pem, reason);
  ERR_clear_error();
  return false;
}

static int64_t nanoseconds(struct timespec at) { return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec; }

gl_tls_version gl_tls_version_of(const char *pem) {
  struct stat s;
  if (is_text(pem) || stat(pem, &s) != 0) return (gl_tls_version){0};
  return (gl_tls_version){s.st_dev, s.st_ino, (uint64_t)s.st_size, nanoseconds(s.st_mtim), nanoseconds(s.st_ctim)};
}

static BIO *open_pem(const char *pem) { return is_text(pem) ? BIO_new_mem_buf(pem, -1) : BIO_new_file(pem, "r"); }

/* Refuses a key that has a password: OpenSSL would otherwise ask for the password on the terminal. */
static int no_password(char *buf, int size, int writing, void *data) {
  (void)buf, (void)size, (void)writing, (void)data;
  return -1;
}

/* Did reading stop because the text has no further certificate, not because of a fault? */
static bool at_end(void) {
  unsigned long e = ERR_peek_last_error();
  bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
  if (end) ERR_clear_error();
  return end;
}

/* Reads our certificate, which is the first, and the certificates that lead from it to an authority. */
static bool read_chain(SSL_CTX *ctx, BIO *in) {
  X509 *x = PEM_read_bio_X509(in, NULL, no_password, NULL);
  bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;
  X509_free(x);
  while (ok && (x = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
    ok = SSL_CTX_add0_chain_cert(ctx, x) == 1;
    if (!ok) X509_free(x);
  }
  return ok && at_end();
}

static bool use_cert(SSL_CTX *ctx, const char *cert, char why[GL_TLS_WHY]) {
  BIO *in = open_pem(cert);
  bool ok = in && read_chain(ctx, in);
  BIO_free(in);
  return ok || complain(why, "cert", cert);
}

static bool use_key(SSL_CTX *ctx, const char *key, char why[GL_TLS_WHY]) {
  BIO *in = open_pem(key);
  EVP_PKEY *k = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
  bool ok = k && SSL_CTX_use_PrivateKey(ctx, k) == 1 && SSL_CTX_check_private_key(ctx) == 1;
  EVP_PKEY_free(k);
  BIO_free(in);
  return ok || complain(why, "key", key);
}

static bool read_authorities(SSL_CTX *ctx, BIO *in, bool server) {
  int n = 0;
  bool ok = true;
  for (X509 *x; ok && (x = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL; n++, X509_free(x)) {
    ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
    if (ok && server) ok = SSL_CTX_add_client_CA(ctx, x) == 1;
  }
  return ok && n > 0 && at_end();
}

static const char *setting(const char *variable, const char *otherwise) {
  const char *value = getenv(variable);
  return value && *value ? value : otherwise;
}

/* Trusts the system's authorities. The system's folder costs nothing until a certificate is looked up; its file is read and parsed at
 * once (40 ms), so that it is used only if the environment names it, or if there is no folder. Without either no server is trusted. */
static void trust_system(SSL_CTX *ctx) {
  const char *folder = setting(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
  const char *file = setting(X509_get_default_cert_file_env(), NULL);
  if (access(folder, X_OK) == 0) SSL_CTX_load_verify_dir(ctx, folder);
  else if (!file) file = X509_get_default_cert_file();
  if (file) SSL_CTX_load_verify_file(ctx, file);
  ERR_clear_error();
}

static bool trust(SSL_CTX *ctx, const gl_tls_settings *set, char why[GL_TLS_WHY]) {
  if (!set->ca) {
    if (set->server || !set->verify) return true;
    if (set->trusting) SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(set->trusting->ctx));
    else trust_system(ctx);
    return true;
  }
  BIO *in = open_pem(set->ca);
  bool ok = in && read_authorities(ctx, in, set->server);
  BIO_free(in);
  return ok || complain(why, set->server ? "client_ca" : "ca", set->ca);
}

/* ---- callbacks during the handshake ---- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg) {
  gl_tls_config *c = arg;
  unsigned char *chosen;
  (void)ssl;
  if (SSL_select_next_proto(&chosen, out_len, c->alpn, (unsigned)c->alpn_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

static bool covers(const char *pattern, const char *name) {
  if (strncmp(pattern, "*.", 2) != 0) return strcasecmp(pattern, name) == 0;
  const char *dot = strchr(name, '.');
  return dot && dot > name && strcasecmp(pattern + 1, dot) == 0;
}

static int choose_cert(SSL *ssl, int *alert, void *arg) {
  gl_tls_config *c = arg;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  gl_tls_name *found = NULL;
  for (gl_tls_name *at = c->names; at && name; at = at->next)
    if (covers(at->name, name) && (!found || *found->name == '*')) found = at;
  if (found) SSL_set_SSL_CTX(ssl, found->ctx);
  if (found || c->any_name) return SSL_TLSEXT_ERR_OK;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- contexts ---- */

static int verify_mode(const gl_tls_settings *set) {
  if (!set->server) return set->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (!set->ca) return SSL_VERIFY_NONE;
  return SSL_VERIFY_PEER | (set->optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
}

/* For TLS 1.2; those of TLS 1.3 are all good. Each has forward secrecy, and encrypts and authenticates in one. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static SSL_CTX *context_new(gl_tls_config *c, const gl_tls_settings *set, char why[GL_TLS_WHY]) {
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(set->server ? TLS_server_method() : TLS_client_method());
  if (!ctx) {
    gl_tls_reason(why, GL_TLS_WHY);
    return NULL;
  }
  SSL_CTX_set_min_proto_version(ctx, set->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  if (set->server) SSL_CTX_set_cipher_list(ctx, CIPHERS);
  if (set->server) gl_tickets_use(&c->tickets, ctx, set->session_timeout);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, set->resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF); /* tickets need no cache */
  if (set->resumes) SSL_CTX_sess_set_new_cb(ctx, gl_tls_new_session);
  SSL_CTX_set_verify(ctx, verify_mode(set), NULL);
  SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"greenlua", 8); /* needed to resume with client certificates */
  if (set->server && c->alpn) SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, c);
  if (!set->server && c->alpn) SSL_CTX_set_alpn_protos(ctx, c->alpn, (unsigned)c->alpn_len);
  bool ok = trust(ctx, set, why) && (!set->cert || use_cert(ctx, set->cert, why)) &&
            (!set->cert || use_key(ctx, set->key ? set->key : set->cert, why));
  if (ok) return ctx;
  SSL_CTX_free(ctx);
  return NULL;
}

static bool copy_alpn(gl_tls_config *c, const gl_tls_settings *set) {
  if (!set->alpn_len) return true;
  c->alpn = malloc(set->alpn_len);
  if (!c->alpn) return false;
  memcpy(c->alpn, set->alpn, set->alpn_len);
  c->alpn_len = set->alpn_len;
  return true;
}

/* ---- memory: OpenSSL's counts as the host's, but is never refused, since not all of OpenSSL copes with a refusal. gl_tls_begin asks for
 * admission instead, once per connection. */

static void *memory_new(size_t n, const char *file, int line) {
  (void)file, (void)line;
  return n ? gl_memory_resize_for_library(NULL, n, false) : NULL;
}

static void *memory_resize(void *block, size_t n, const char *file, int line) {
  (void)file, (void)line;
  return gl_memory_resize_for_library(block, n, false);
}

static void memory_free(void *block, const char *file, int line) {
  (void)file, (void)line;
  if (block) gl_memory_resize_for_library(block, 0, false);
}

/* Has no effect when OpenSSL has allocated already, such as for a C module: its memory is then not counted. */
static void set_allocator(void) { CRYPTO_set_mem_functions(memory_new, memory_resize, memory_free); }

gl_tls_config *gl_tls_config_new(const gl_tls_settings *set, char why[GL_TLS_WHY]) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const char *lacks = gl_library_need("libcrypto.so.3");
  if (!lacks) lacks = gl_library_need("libssl.so.3");
  if (lacks) {
    snprintf(why, GL_TLS_WHY, "TLS needs OpenSSL: %s", lacks);
    return NULL;
  }
  pthread_once(&once, set_allocator);
  gl_tls_config *c = calloc(1, sizeof *c);
  snprintf(why, GL_TLS_WHY, "not enough memory");
  if (!c) return NULL;
  c->refs = 1;
  c->server = set->server;
  c->verify = set->verify;
  c->any_name = set->cert != NULL;
  if (!copy_alpn(c, set) || !(c->ctx = context_new(c, set, why))) {
    gl_tls_config_unref(c);
    return NULL;
  }
  if (set->server) {
    SSL_CTX_set_tlsext_servername_callback(c->ctx, choose_cert);
    SSL_CTX_set_tlsext_servername_arg(c->ctx, c);
  }
  return c;
}

bool gl_tls_config_add_name(gl_tls_config *c, const gl_tls_settings *set, const char *name, char why[GL_TLS_WHY]) {
  gl_tls_name *n = malloc(sizeof *n + strlen(name) + 1);
  snprintf(why, GL_TLS_WHY, "not enough memory");
  if (!n) return false;
  strcpy(n->name, name);
  n->ctx = context_new(c, set, why);
  if (!n->ctx) {
    free(n);
    return false;
  }
  n->next = c->names;
  c->names = n;
  return true;
}

void gl_tls_config_unref(gl_tls_config *c) {
  if (!c || --c->refs > 0) return;
  for (gl_tls_name *n = c->names, *next; n; n = next) {
    next = n->next;
    SSL_CTX_free(n->ctx);
    free(n);
  }
  SSL_CTX_free(c->ctx);
  gl_tickets_forget(&c->tickets);
  BIO_meth_free(c->bio);
  free(c->alpn);
  free(c);
}
