/* SPDX-License-Identifier: MIT */
#include "ws/handshake.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

/* ---- keys ---- */

bool gl_ws_is_key(gl_text key) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (gl_text_len(key) != GL_WS_KEY || key.at[22] != '=' || key.at[23] != '=') return false;
  for (int i = 0; i < 22; i++)
    if (!memchr(digits, key.at[i], sizeof digits - 1)) return false;
  return true;
}

void gl_ws_accept_key(gl_text key, char out[GL_WS_ACCEPT + 1]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  char text[GL_WS_KEY + sizeof guid];
  memcpy(text, key.at, GL_WS_KEY);
  memcpy(text + GL_WS_KEY, guid, sizeof guid - 1);
  SHA1((const unsigned char *)text, sizeof text - 1, digest);
  EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

/* ---- origins ---- */

/* Reads a host and the port behind it; *port stays as it is when there is none. False: the port is no number. */
static bool split_port(gl_text text, gl_text *host, long *port) {
  const char *colon = NULL;
  for (const char *p = text.at; p < text.end; p++) {
    if (*p == ':') colon = p;
    if (*p == ']') colon = NULL; /* colons before the bracket are part of an IPv6 address */
  }
  *host = gl_text_of(text.at, (size_t)((colon ? colon : text.end) - text.at));
  if (!colon || colon + 1 == text.end) return true;
  long n = 0;
  for (const char *p = colon + 1; p < text.end; p++) {
    if (*p < '0' || *p > '9' || n > 65535) return false;
    n = 10 * n + (*p - '0');
  }
  *port = n;
  return true;
}

static long default_port(gl_text scheme) {
  if (gl_text_is(scheme, "http") || gl_text_is(scheme, "ws")) return 80;
  return gl_text_is(scheme, "https") || gl_text_is(scheme, "wss") ? 443 : 0;
}

bool gl_origin_read(gl_text text, gl_origin *o) {
  const char *at = memmem(text.at, gl_text_len(text), "://", 3);
  if (!at) return false;
  gl_text rest = gl_text_of(at + 3, (size_t)(text.end - at) - 3);
  for (const char *p = rest.at; p < rest.end; p++)
    if (strchr("/@?#\\", *p) || (unsigned char)*p <= ' ') return false;
  o->scheme = gl_text_of(text.at, (size_t)(at - text.at));
  o->port = default_port(o->scheme);
  return split_port(rest, &o->host, &o->port) && gl_text_len(o->host) > 0;
}

bool gl_origin_is_host(const gl_origin *o, gl_text text) {
  gl_text host;
  long port = default_port(o->scheme);
  return split_port(text, &host, &port) && gl_text_equals(host, o->host) && port == o->port;
}

bool gl_origin_is_same(const gl_origin *a, const gl_origin *b) {
  return gl_text_equals(a->scheme, b->scheme) && gl_text_equals(a->host, b->host) && a->port == b->port;
}
