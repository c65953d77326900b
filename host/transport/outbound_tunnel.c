/* SPDX-License-Identifier: MIT
 *
 * The way through a proxy: CONNECT, and what the proxy answers (RFC 9110, 9.3.6). If the proxy refuses, it says in the body why: the beginning of
 * the body is waited for, though not for long.
 */
#include <stdio.h>
#include <string.h>

#include "net/address.h"
#include "transport/outbound.h"
#include "transport/roundtrip.h"

#define EXCERPT ((size_t)1024) /* bytes of a refusal's body that are kept */
#define EXCERPT_SECONDS 1.0    /* the wait for them */

static bool tunnel_interim(gl_response_reader *r) {
  (void)r;
  return true;
}

static bool tunnel_head(gl_response_reader *r) {
  ((gl_outbound *)r->owner)->refused = gl_response_head(r)->status / 100 != 2;
  return true;
}

/* The rest of a long body, and what there is no memory for, is left out. */
static bool tunnel_body(gl_response_reader *r, const char *bytes, size_t n) {
  gl_buf *kept = &((gl_outbound *)r->owner)->x.body;
  size_t room = EXCERPT - kept->len;
  gl_buf_add(kept, bytes, n < room ? n : room);
  return true;
}

static const gl_response_user tunnel_user = {tunnel_head, tunnel_interim, tunnel_body};

bool gl_outbound_settle(gl_outbound *c) {
  if (!c->refused) return false;
  gl_roundtrip *rt = c->rt;
  gl_head *head = c->reader.h1.head;
  gl_buf body = c->x.body;
  char why[200];
  snprintf(why, sizeof why, "the proxy answered %d %.*s", head->status, (int)(head->target_len < 100 ? head->target_len : 100), head->text ? head->text : "");
  c->refused = false;
  c->reader.h1.head = NULL;
  c->x.body = (gl_buf){0};
  gl_outbound_drop(c);
  gl_roundtrip_refused(rt, head, &body, why);
  return true;
}

static void tunnelled(gl_outbound *c, bool rest) {
  char why[200];
  if (c->reader.h1.state == GL_H1_BAD) {
    snprintf(why, sizeof why, "the proxy's answer is no HTTP: %s", c->reader.wrong);
    gl_outbound_lose(c, UV_EPROTO, NULL, why);
  } else if (rest) {
    gl_outbound_lose(c, UV_EPROTO, NULL, "the proxy said more than it was asked");
  } else {
    gl_outbound_reached(c);
  }
}

void gl_outbound_read_tunnel(gl_outbound *c, const char *bytes, size_t n) {
  gl_response_reader *r = &c->reader;
  bool before = c->refused;
  size_t used = gl_response_read(r, bytes, n);
  bool complete = r->h1.state == GL_H1_DONE || r->h1.state == GL_H1_BAD;
  if (c->refused && !before) complete |= !gl_roundtrip_hasten(c->rt, EXCERPT_SECONDS);
  if (c->refused && (complete || c->x.body.len == EXCERPT)) gl_outbound_settle(c);
  else if (complete) tunnelled(c, used < n);
}

/* Writes the request for a tunnel. False: out of memory. */
static bool write_connect(gl_outbound *c) {
  const gl_origin_spec *to = &c->origin->to;
  char authority[GL_HOST_MAX + 16];
  size_t n = (size_t)snprintf(authority, sizeof authority, strchr(to->host, ':') ? "[%s]:%d" : "%s:%d", to->host, to->port);
  size_t auth = to->proxy_auth ? strlen(to->proxy_auth) : 0;
  char *start = gl_stream_room(c->stream, 2 * n + auth + 128), *at = start;
  if (!start) return false;
  at = gl_h1_put_request_line(at, gl_text_of("CONNECT", 7), gl_text_of(authority, n));
  at = gl_h1_put_field(at, "Host", 4, authority, n);
  if (to->proxy_auth) at = gl_h1_put_field(at, "Proxy-Authorization", 19, to->proxy_auth, auth);
  at = GL_PUT(at, "\r\n");
  gl_stream_wrote(c->stream, (size_t)(at - start));
  return true;
}

void gl_outbound_ask_proxy(gl_outbound *c) {
  static const gl_head_limits limits = {.bytes = 65536, .fields = 128};
  c->state = GL_OUTBOUND_TUNNEL;
  gl_roundtrip_enter(c->rt, GL_PHASE_PROXY, uv_hrtime());
  if (c->state != GL_OUTBOUND_TUNNEL) return;
  gl_head *head = gl_heads_take(&c->pool->heads);
  if (head) gl_response_begin(&c->reader, head, &limits, GL_ANSWERS_CONNECT);
  c->reader.user = &tunnel_user;
  c->reader.owner = c;
  if (!head || !write_connect(c)) gl_outbound_lose(c, UV_ENOMEM, NULL, NULL);
}
