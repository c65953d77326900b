/* SPDX-License-Identifier: MIT */
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/check.h"
#include "core/memory.h"

#define PIECE ((size_t)64 * 1024) /* plain bytes, at most, that tls_fill turns into records at a time */
#define RECORD 16384              /* plain bytes of one record, at most */
#define WEIGHT ((size_t)64 * 1024) /* bytes that OpenSSL takes for a handshake, about */

typedef struct tls {
  SSL *ssl;
  gl_stream *stream;
  gl_tls_config *config; /* referenced */
  gl_timer limit; /* ends a handshake that takes too long */
  void (*session)(gl_stream *s, SSL_SESSION *session); /* see gl_tls_start */
  void (*ready)(gl_stream *s, int status);             /* see gl_tls_start */
  const char *in; /* during `take`: the bytes that OpenSSL has not taken yet */
  size_t in_len;
  gl_turn_hook turn; /* the next step of the handshake */
  gl_buf waiting; /* what has arrived for that, */
  int end;        /* and the end of the wire behind it; 0 = it has not ended */
  const char *plain_answer; /* see gl_tls_start */
  const char *code; /* of the fault: a static text */
  bool shaking;   /* the handshake is under way */
  bool stalled;   /* it has paused the stream until its next step */
  bool secured;   /* the handshake succeeded */
  bool farewell;  /* close_notify was queued */
  char fault[GL_TLS_WHY + 320]; /* why TLS failed, with room for a host name; "" = it has not */
  char name[];    /* of the server, as the client must verify it; "" = none */
} tls;

/* ---- the wire as a BIO of OpenSSL ---- */

static int wire_read(BIO *b, char *to, int n) {
  tls *t = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  if (!t->in_len) {
    BIO_set_retry_read(b);
    return -1;
  }
  if ((size_t)n > t->in_len) n = (int)t->in_len;
  memcpy(to, t->in, (size_t)n);
  t->in += n;
  t->in_len -= (size_t)n;
  return n;
}

static int wire_write(BIO *b, const char *bytes, int n) {
  gl_stream *s = ((tls *)BIO_get_data(b))->stream;
  BIO_clear_retry_flags(b);
  if (s->shut || s->broken || s->mute || s->closing) return n; /* the other side reads nothing more: the bytes are dropped */
  return gl_buf_add(&s->output.first, bytes, (size_t)n) ? n : -1;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *ptr) {
  (void)b, (void)num, (void)ptr;
  return cmd == BIO_CTRL_FLUSH;
}

static BIO *wire_new(tls *t) {
  gl_tls_config *c = t->config;
  if (!c->bio) {
    c->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gl_stream");
    if (!c->bio) return NULL;
    BIO_meth_set_read(c->bio, wire_read);
    BIO_meth_set_write(c->bio, wire_write);
    BIO_meth_set_ctrl(c->bio, wire_ctrl);
  }
  BIO *b = BIO_new(c->bio);
  if (!b) return NULL;
  BIO_set_data(b, t);
  BIO_set_init(b, 1);
  return b;
}

/* ---- failing ---- */

static void fail(tls *t, int status, const char *code, const char *text) {
  snprintf(t->fault, sizeof t->fault, "%s", text);
  t->code = code;
  gl_stream_break(t->stream, status);
}

/* Did the handshake fail since the client speaks HTTP in the clear? */
static bool is_plain_http(unsigned long e) { return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST; }

/* Fails by OpenSSL's last error; call after an OpenSSL function that failed for good. */
static void fail_ssl(tls *t) {
  char text[sizeof t->fault], reason[GL_TLS_WHY];
  unsigned long e = ERR_peek_error();
  if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const char *why = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
    if (*t->name) snprintf(text, sizeof text, "certificate verify failed: %s (host %s)", why, t->name);
    else snprintf(text, sizeof text, "certificate verify failed: %s", why);
  } else {
    gl_tls_reason(reason, sizeof reason);
    snprintf(text, sizeof text, "%s: %s", t->shaking ? "TLS handshake failed" : "TLS failed", reason);
  }
  if (t->plain_answer && is_plain_http(e)) gl_buf_add(&t->stream->output.first, t->plain_answer, strlen(t->plain_answer)); /* without memory: nothing */
  ERR_clear_error();
  fail(t, UV_EPROTO, "ETLS", text);
}

/* Handles an OpenSSL call that gave no bytes: it waits for more input, has read close_notify, or has failed. */
static void stopped(tls *t, int result) {
  int why = SSL_get_error(t->ssl, result);
  if (why == SSL_ERROR_ZERO_RETURN) gl_stream_end(t->stream, UV_EOF);
  else if (why != SSL_ERROR_WANT_READ) fail_ssl(t);
}

static void on_limit(gl_timer *timer) {
  fail(GL_CONTAINER(timer, tls, limit), UV_ETIMEDOUT, "ETIMEDOUT", "the TLS handshake took too long");
}

/* ---- the filter ---- */

static void handshake_over(tls *t, int status) {
  t->shaking = t->stream->held = false;
  t->secured = status == 0;
  gl_timer_drop(&t->stream->host->clock, &t->limit);
  if (t->ready) t->ready(t->stream, status);
}

static void shake(tls *t) {
  ERR_clear_error();
  int result = SSL_do_handshake(t->ssl);
  if (result == 1) handshake_over(t, 0);
  else stopped(t, result);
}

/* Gives the user all plain bytes that the input contains. A paused stream's user gets them as well: they are no more than one read. */
static void deliver(tls *t) {
  gl_stream *s = t->stream;
  char plain[RECORD];
  while (!s->closing && !s->broken && !s->ended) {
    ERR_clear_error();
    int n = SSL_read(t->ssl, plain, sizeof plain);
    if (n <= 0) {
      stopped(t, n);
      return;
    }
    s->user->data(s, plain, (size_t)n);
  }
}

static void take(tls *t, const char *bytes, size_t n) {
  gl_stream *s = t->stream;
  t->in = bytes;
  t->in_len = n;
  if (t->shaking) shake(t);
  if (!t->shaking) deliver(t);
  t->in_len = 0;
  gl_stream_touch(s); /* OpenSSL may have written, and the end of the handshake lets `plain` out */
}

/* Leaves bytes to the next step of the handshake. */
static void put_off(tls *t, const char *bytes, size_t n) {
  gl_stream *s = t->stream;
  bool more = t->waiting.len > 0;
  if (n && !gl_buf_add(&t->waiting, bytes, n)) {
    gl_stream_break(s, UV_ENOMEM);
    return;
  }
  gl_at_turn_end_long(s->host, &t->turn);
  if (!more) return;
  t->stalled = true;
  gl_stream_pause(s);
}

static void tls_received(gl_stream *s, const char *bytes, size_t n) {
  tls *t = s->filtering;
  if (t->shaking) put_off(t, bytes, n);
  else take(t, bytes, n);
}

static void tls_ended(gl_stream *s, int status) {
  tls *t = s->filtering;
  if (!s->broken && gl_turn_is_queued(s->host, &t->turn)) {
    t->end = status;
    return;
  }
  if (t->shaking && !s->broken) {
    if (status == UV_EOF) fail(t, UV_EPROTO, "ETLS", "TLS handshake failed: the other side closed the connection");
    else gl_stream_break(s, status);
    return; /* both have called this function again, with the stream broken */
  }
  if (status == UV_EOF && !s->ended) {
    status = UV_EPROTO;
    t->code = "ETRUNCATED";
    snprintf(t->fault, sizeof t->fault, "the connection ended without TLS saying so; what was read may be incomplete");
  }
  if (t->shaking) handshake_over(t, status);
  gl_stream_end(s, status);
}

static void on_turn(gl_turn_hook *turn) {
  tls *t = GL_CONTAINER(turn, tls, turn);
  gl_stream *s = t->stream;
  if (!s) {
    free(t);
    return;
  }
  gl_buf bytes = t->waiting;
  t->waiting = (gl_buf){0};
  if (t->stalled && !t->end) gl_stream_read(s);
  t->stalled = false;
  if (!s->closing && !s->broken) take(t, gl_buf_at(&bytes), bytes.len);
  gl_buf_free(&bytes);
  if (t->end && !s->closing && !s->broken) tls_ended(s, t->end);
}

static void tls_fill(gl_stream *s) {
  tls *t = s->filtering;
  if (t->shaking) return;
  ERR_clear_error();
  if (s->plain.len) {
    int n = SSL_write(t->ssl, gl_buf_at(&s->plain), (int)(s->plain.len < PIECE ? s->plain.len : PIECE));
    if (n <= 0) {
      fail_ssl(t);
      return;
    }
    gl_buf_eat(&s->plain, (size_t)n);
    if (!s->plain.len) gl_buf_free(&s->plain);
  } else if (s->after_output && !t->farewell && (s->after_output == GL_THEN_SHUT || !gl_stream_is_foreign(s))) {
    t->farewell = true;
    SSL_shutdown(t->ssl);
  }
}

static void tls_free(gl_stream *s) {
  tls *t = s->filtering;
  gl_timer_drop(&s->host->clock, &t->limit);
  if (t->session && t->secured) SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN); /* otherwise SSL_free ends the session as well */
  SSL_free(t->ssl);
  gl_tls_config_unref(t->config);
  gl_buf_free(&t->waiting);
  t->stream = NULL;
  if (!gl_turn_is_queued(s->host, &t->turn)) free(t); /* else when its turn comes */
}

static const gl_filter tls_filter = {tls_received, tls_ended, tls_fill, tls_free};

/* ---- beginning ---- */

static bool set_peer(tls *t) {
  X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
  if (!*t->name) return true;
  bool ip = X509_VERIFY_PARAM_set1_ip_asc(param, t->name) == 1; /* an address is verified, but is no SNI (RFC 6066, 3) */
  ERR_clear_error();
  SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT); /* RFC 9525, 2 */
  return ip || (SSL_set_tlsext_host_name(t->ssl, t->name) == 1 && SSL_set1_host(t->ssl, t->name) == 1);
}

static tls *tls_new(gl_stream *s, const gl_tls_start *start) {
  const char *name = start->name ? start->name : "";
  tls *t = calloc(1, sizeof *t + strlen(name) + 1);
  if (!t) return NULL;
  strcpy(t->name, name);
  t->stream = s;
  t->config = start->config;
  t->ready = start->ready;
  t->session = start->session;
  t->plain_answer = start->plain_answer;
  t->limit.fire = on_limit;
  t->turn.run = on_turn;
  t->shaking = true;
  ERR_clear_error();
  t->ssl = SSL_new(t->config->ctx);
  BIO *wire = t->ssl ? wire_new(t) : NULL;
  if (wire) SSL_set_bio(t->ssl, wire, wire);
  if (wire && start->session) SSL_set_app_data(t->ssl, t);
  if (wire && start->resume) SSL_set_session(t->ssl, start->resume); /* a session that cannot be used any more leads to a full handshake */
  if (wire && (t->config->server || set_peer(t))) return t;
  SSL_free(t->ssl);
  free(t);
  return NULL;
}

int gl_tls_new_session(SSL *ssl, SSL_SESSION *session) {
  tls *t = SSL_get_app_data(ssl);
  if (!t || !t->session) return 0;
  t->session(t->stream, session);
  return 1;
}

bool gl_tls_begin(gl_stream *s, const gl_tls_start *start) {
  GL_CHECK(!s->filter);
  tls *t = gl_memory_admits(s->host, WEIGHT) ? tls_new(s, start) : NULL;
  if (!t) return false;
  t->config->refs++;
  s->filter = &tls_filter;
  s->filtering = t;
  s->held = true;
  if (t->config->server) SSL_set_accept_state(t->ssl);
  else SSL_set_connect_state(t->ssl);
  int err = gl_timer_arm(&s->host->clock, &t->limit, start->timeout) ? gl_stream_read(s) : UV_ENOMEM;
  if (err) gl_stream_break(s, err);
  else if (!t->config->server || start->received_len) put_off(t, start->received, start->received_len);
  return true;
}

/* ---- questions about a connection ---- */

bool gl_tls_secured(const gl_stream *s) {
  return s->filter == &tls_filter && ((tls *)s->filtering)->secured;
}

const char *gl_tls_fault(const gl_stream *s, const char **code) {
  if (s->filter != &tls_filter) return NULL;
  const tls *t = s->filtering;
  *code = t->code;
  return *t->fault ? t->fault : NULL;
}

static void put_name(const X509_NAME *name, char out[512]) {
  BIO *mem = BIO_new(BIO_s_mem());
  char *text = NULL;
  long n = 0;
  if (mem && X509_NAME_print_ex(mem, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) n = BIO_get_mem_data(mem, &text);
  snprintf(out, 512, "%.*s", (int)n, n ? text : "");
  BIO_free(mem);
}

static void put_fingerprint(const X509 *x, char out[65]) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  X509_digest(x, EVP_sha256(), hash, &n);
  for (unsigned i = 0; i < n && i < 32; i++) snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void put_expiry(const X509 *x, char out[32]) {
  struct tm tm;
  if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1) strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

bool gl_tls_key_hash(const gl_stream *s, uint8_t out[32]) {
  X509 *x = SSL_get0_peer_certificate(((tls *)s->filtering)->ssl);
  unsigned char *der = NULL;
  int n = x ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : 0;
  bool ok = n > 0 && EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL) == 1;
  OPENSSL_free(der);
  ERR_clear_error();
  return ok;
}

bool gl_tls_speaks(const gl_stream *s, const char *protocol) {
  const unsigned char *chosen;
  unsigned n;
  SSL_get0_alpn_selected(((tls *)s->filtering)->ssl, &chosen, &n);
  return n == strlen(protocol) && memcmp(chosen, protocol, n) == 0;
}

void gl_tls_describe(const gl_stream *s, gl_tls_info *out) {
  SSL *ssl = ((tls *)s->filtering)->ssl;
  *out = (gl_tls_info){.protocol = SSL_get_version(ssl), .cipher = SSL_get_cipher_name(ssl)};
  ERR_clear_error();
  out->server_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  out->resumed = SSL_session_reused(ssl) == 1;
  SSL_get0_alpn_selected(ssl, (const unsigned char **)&out->alpn, &out->alpn_len);
  X509 *x = SSL_get0_peer_certificate(ssl);
  if (!x) return;
  out->verified = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl) == X509_V_OK;
  put_name(X509_get_subject_name(x), out->subject);
  put_name(X509_get_issuer_name(x), out->issuer);
  put_fingerprint(x, out->fingerprint);
  put_expiry(x, out->expires);
}
