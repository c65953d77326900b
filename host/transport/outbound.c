/* SPDX-License-Identifier: MIT */
#include "transport/outbound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "net/tls.h"
#include "transport/roundtrip.h"

#define DEPARTURE_MS 1000            /* an end that comes so soon after a response is no idle limit of the server's */
#define FRESH_NS ((uint64_t)10000000) /* for so long after a poll, an end that the loop did not see is not asked for */

static const gl_stream_user outbound_user;

/* ---- life ---- */

static void outbound_free(gl_outbound *c) {
  gl_outbound_clear(c);
  gl_origin_release(c->origin);
  free(c);
}

static void on_closed(gl_stream *stream) {
  gl_outbound *c = stream->owner;
  if (c) outbound_free(c); /* else the stream is that of an attempt which another one overtook, or which was cancelled */
}

/* Counts one connection that is being made more, or fewer. */
static void count_dialing(gl_outbound *c, int change) {
  c->pool->stats.dialing += (uint32_t)change;
  c->origin->ndialing += (uint32_t)change;
}

/* Takes the connection out of all lists, and away from whom it served: it is only a stream that is being closed. */
static void leave(gl_outbound *c) {
  gl_pool *p = c->pool;
  if (c->state == GL_OUTBOUND_IDLE) gl_pool_unkeep(c);
  if (c->state <= GL_OUTBOUND_SECURING) count_dialing(c, -1);
  if (c->rt) c->rt->attempt = NULL;
  c->rt = NULL;
  c->state = GL_OUTBOUND_CLOSING;
  *c->at = c->next;
  if (c->next) c->next->at = c->at;
  p->stats.total--;
  c->origin->nconns--;
}

void gl_outbound_drop(gl_outbound *c) {
  if (c->state == GL_OUTBOUND_CLOSING) return;
  gl_origin *o = c->origin;
  o->uses++;
  leave(c);
  if (c->dial) gl_dial_cancel(c->dial);
  c->dial = NULL;
  if (c->stream) gl_stream_close(c->stream);
  else outbound_free(c);
  if (o->first) gl_pool_gone(o);
  gl_origin_release(o);
}

/* Notes whether the connection, which has ended, is one that the server kept only in appearance. */
static void note_departure(const gl_outbound *c) {
  bool unused = c->state == GL_OUTBOUND_IDLE || (c->state == GL_OUTBOUND_BUSY && c->served && !c->x.begun);
  if (unused && uv_now(&c->pool->host->loop) - c->idle_since < DEPARTURE_MS) c->origin->departs = true;
}

void gl_outbound_lose(gl_outbound *c, int status, const char *code, const char *why) {
  if (gl_outbound_settle(c)) return;
  gl_roundtrip *rt = c->rt;
  note_departure(c);
  if (c->state == GL_OUTBOUND_BUSY) {
    gl_outbound_lost(c, status, code, why);
    return;
  }
  gl_outbound_drop(c); /* `why` may be text of the stream, which lasts until on_closed */
  if (rt) gl_roundtrip_lost(rt, status, code, why);
}

bool gl_outbound_is_alive(const gl_outbound *c, uint64_t now, bool exactly) {
  const gl_host *h = c->pool->host;
  if (c->stream->ended || c->stream->closing) return false;
  if (!exactly && now - h->polled < FRESH_NS) return true;
  uv_os_fd_t fd;
  char byte;
  if (uv_fileno(&c->stream->uv.handle, &fd) != 0) return false;
  ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  if (n <= 0) note_departure(c);
  return false;
}

/* ---- an exchange on it ---- */

static void ready(gl_outbound *c, gl_roundtrip *rt) {
  if (c->state <= GL_OUTBOUND_SECURING) count_dialing(c, -1);
  c->state = GL_OUTBOUND_BUSY;
  c->rt = NULL;
  gl_outbound_renew(c);
  gl_roundtrip_begin(rt, &c->x, c->served > 0, c->remote);
}

void gl_outbound_serve(gl_outbound *c, gl_roundtrip *rt) { ready(c, rt); }

/* ---- TLS ---- */

static void on_session(gl_stream *stream, SSL_SESSION *session) {
  gl_outbound *c = stream->owner;
  gl_origin *o = c->origin;
  if (o->session) SSL_SESSION_free(o->session);
  o->session = session;
}

static bool is_pinned(const gl_outbound *c) {
  const gl_origin_spec *to = &c->origin->to;
  uint8_t hash[32];
  if (!to->npins) return true;
  if (!gl_tls_key_hash(c->stream, hash)) return false;
  for (unsigned i = 0; i < to->npins; i++)
    if (memcmp(to->pins[i], hash, sizeof hash) == 0) return true;
  return false;
}

static void on_secured(gl_stream *stream, int status) {
  gl_outbound *c = stream->owner;
  if (status != 0 || c->state != GL_OUTBOUND_SECURING) return; /* status: on_end follows, with the reason */
  if (is_pinned(c)) ready(c, c->rt);
  else gl_outbound_lose(c, UV_EPROTO, "ETLS", "the server's public key is none of those that are pinned");
}

static void secure(gl_outbound *c) {
  const gl_origin_spec *to = &c->origin->to;
  c->state = GL_OUTBOUND_SECURING;
  gl_roundtrip_enter(c->rt, GL_PHASE_TLS, uv_hrtime());
  if (c->state != GL_OUTBOUND_SECURING) return;
  gl_tls_start start = {
    .config = to->tls, .name = to->server_name ? to->server_name : to->host, .timeout = GL_FOREVER, .ready = on_secured,
    .resume = c->origin->session, .session = on_session,
  };
  if (!gl_tls_begin(c->stream, &start)) gl_outbound_lose(c, UV_ENOMEM, NULL, NULL);
}

void gl_outbound_reached(gl_outbound *c) {
  if (c->origin->to.tls) secure(c);
  else ready(c, c->rt);
}

/* ---- the stream ---- */

static void on_data(gl_stream *stream, const char *bytes, size_t n) {
  gl_outbound *c = stream->owner;
  switch (c->state) {
    case GL_OUTBOUND_BUSY:
      if (c->stream->taken == c->began && !c->stream->write) gl_outbound_lose(c, UV_EPROTO, NULL, "the server spoke before it was asked");
      else gl_outbound_read(c, bytes, n);
      break;
    case GL_OUTBOUND_TUNNEL: gl_outbound_read_tunnel(c, bytes, n); break;
    case GL_OUTBOUND_IDLE: gl_outbound_drop(c); break;
    default: break;
  }
}

/* Did the server close the connection, and does it make no difference that TLS did not announce it, or that a write met it? It makes one
 * where the end of the connection is that of the body. */
static bool is_plain_end(const gl_outbound *c, int status, const char *code) {
  if (c->state == GL_OUTBOUND_BUSY && c->x.in == GL_IN_BODY && c->reader.h1.mode == GL_BODY_UNTIL_CLOSE) return false;
  return status == UV_EPIPE || (code && strcmp(code, "ETRUNCATED") == 0);
}

static void on_end(gl_stream *stream, int status) {
  gl_outbound *c = stream->owner;
  const char *code = NULL, *why = c->stream ? gl_tls_fault(stream, &code) : NULL;
  if (status == UV_ETIMEDOUT || status == UV_ENOMEM) code = why = NULL; /* the kernel's error has nothing to do with TLS */
  if (is_plain_end(c, status, code)) {
    status = UV_EOF;
    code = NULL;
    why = c->state == GL_OUTBOUND_SECURING ? "the connection was closed in the TLS handshake" : NULL;
  }
  gl_outbound_lose(c, status, why ? code : NULL, why);
}

static void on_drained(gl_stream *stream) {
  gl_outbound *c = stream->owner;
  if (c->state == GL_OUTBOUND_BUSY) gl_outbound_drained(c);
}

static const gl_stream_user outbound_user = {on_data, on_end, on_drained, on_closed, NULL};

/* ---- connecting ---- */

static void note_peer(gl_outbound *c) {
  struct sockaddr_storage peer;
  int len = sizeof peer;
  if (c->origin->to.path) snprintf(c->remote, sizeof c->remote, "unix:%s", c->origin->to.path);
  else if (uv_tcp_getpeername(&c->stream->uv.tcp, (struct sockaddr *)&peer, &len) == 0) gl_address_text((struct sockaddr *)&peer, c->remote);
}

static void refused(gl_outbound *c, int status, const gl_address *failed) {
  const gl_origin_spec *to = &c->origin->to;
  char address[GL_ADDRESS_MAX] = "", why[GL_ADDRESS_MAX + 128];
  gl_address number;
  bool named = !to->path && !gl_address_number(to->proxy_host ? to->proxy_host : to->host, 0, &number);
  if (failed && failed->family != AF_UNIX && (named || to->proxy_host)) gl_address_text((const struct sockaddr *)&failed->ip, address);
  if (status == UV_EACCES && to->deny_private && !failed) snprintf(why, sizeof why, "its address is not a public one");
  else if (to->proxy_host) snprintf(why, sizeof why, "%s (proxy %s)", uv_strerror(status), *address ? address : to->proxy_host);
  else if (*address) snprintf(why, sizeof why, "%s (%s)", uv_strerror(status), address);
  else if (to->path) snprintf(why, sizeof why, "%s (unix:%s)", uv_strerror(status), to->path);
  else snprintf(why, sizeof why, "%s", uv_strerror(status));
  gl_outbound_lose(c, status, NULL, why);
}

static void on_dialled(void *owner, gl_stream *stream, int status, const gl_address *failed) {
  gl_outbound *c = owner;
  c->dial = NULL;
  if (!stream) {
    refused(c, status, failed);
    return;
  }
  c->stream = stream;
  stream->owner = c;
  stream->hears_out = true;
  note_peer(c);
  int err = gl_stream_read(stream);
  if (err) gl_outbound_lose(c, err, NULL, NULL);
  else if (c->origin->to.tunnels) gl_outbound_ask_proxy(c);
  else gl_outbound_reached(c);
}

static void on_resolved(void *owner) { gl_roundtrip_enter(((gl_outbound *)owner)->rt, GL_PHASE_CONNECT, uv_hrtime()); }

static gl_outbound *outbound_new(gl_origin *o, gl_roundtrip *rt) {
  gl_pool *p = o->pool;
  gl_outbound *c = calloc(1, sizeof *c + gl_roundtrip_user.size);
  if (!c) return NULL;
  c->pool = p;
  c->origin = o;
  o->uses++;
  o->nconns++;
  p->stats.total++;
  count_dialing(c, 1);
  c->rt = rt;
  c->idle_most = c->left = UINT32_MAX;
  rt->attempt = c;
  c->next = p->live;
  c->at = &p->live;
  if (c->next) c->next->at = &c->next;
  p->live = c;
  return c;
}

bool gl_outbound_dial(gl_origin *o, gl_roundtrip *rt) {
  gl_outbound *c = outbound_new(o, rt);
  if (!c) return false;
  const gl_origin_spec *to = &o->to;
  gl_address address = {0};
  gl_dial_to dial = {.addresses = &address, .user = &outbound_user, .resolved = on_resolved};
  dial.host = to->proxy_host ? to->proxy_host : to->host;
  dial.port = to->proxy_host ? to->proxy_port : to->port;
  if (to->deny_private) dial.allows = gl_address_is_public;
  if (to->path) {
    address.family = AF_UNIX;
    snprintf(address.path, sizeof address.path, "%s", to->path); /* its length was checked */
    dial.n = 1;
  } else if (gl_address_number(dial.host, dial.port, &address)) {
    dial.n = 1;
  }
  gl_roundtrip_enter(rt, dial.n ? GL_PHASE_CONNECT : GL_PHASE_RESOLVE, uv_hrtime());
  if (rt->attempt != c) return true; /* there was no memory for the timer of the phase */
  if (!gl_dial_start(o->pool->host, &dial, on_dialled, c, &c->dial)) gl_outbound_lose(c, UV_ENOMEM, NULL, NULL);
  return true;
}
