/* SPDX-License-Identifier: MIT */
#include "http/server.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "http/h2.h"
#include "net/proxied.h"
#include "net/tls.h"

#define MAX_SPARE 64     /* gl_conn_requests */
#define SLICE_NS 1000000 /* that a walk over connections takes at most, until the tasks have their turn */
#define LOOKS 256        /* connections looked at between two looks at the clock */

/* ---- memory ---- */

gl_conn_request *gl_server_request(gl_server *s) {
  gl_conn_request *r = s->spare_requests;
  if (!r) return calloc(1, sizeof *r + s->user->size);
  s->spare_requests = r->next;
  s->nspare_requests--;
  return r;
}

void gl_server_drop_request(gl_server *s, gl_conn_request *r) {
  if (s->nspare_requests >= MAX_SPARE) {
    free(r);
    return;
  }
  s->nspare_requests++;
  r->next = s->spare_requests;
  s->spare_requests = r;
}

void gl_server_unref(gl_server *s) {
  if (--s->refs > 0) return;
  gl_timer_drop(&s->host->clock, &s->sweep);
  gl_tls_config_unref(s->tls);
  gl_heads_free(&s->heads);
  for (gl_conn_request *r = s->spare_requests, *next; r; r = next) {
    next = r->next;
    free(r);
  }
  s->free(s);
}

double gl_server_body_time(const gl_server_limits *l, uint64_t arrived, uint64_t waited) {
  double left = l->body_timeout + (double)arrived / l->body_min_rate - (double)waited / 1000;
  return left < 0 ? 0 : left < l->body_timeout ? left : l->body_timeout;
}

/* ---- walks over the connections ---- */

/* Calls `act` for the connections from *cursor on, for at most a slice: when thousands are closed at the same moment, tasks have
 * their turn in between. `act` returns whether it did something that takes time. */
static void walk_slice(gl_server *s, gl_conn **cursor, bool (*act)(gl_conn *c, uint64_t now)) {
  uint64_t now = uv_now(&s->host->loop), end = uv_hrtime() + SLICE_NS;
  for (int i = 1; *cursor; i++) {
    gl_conn *c = *cursor;
    *cursor = c->next;
    if (act(c, now) || i % LOOKS == 0)
      if (uv_hrtime() > end) return;
  }
}

static bool shut_down(gl_conn *c, uint64_t now) {
  (void)now;
  gl_conn_shutdown(c, c->server->fresh);
  return true;
}

static double sweep_interval(const gl_server_limits *l) {
  double least = 4.0;
  const double all[] = {l->header_timeout, l->keepalive_timeout, l->body_timeout, l->write_timeout, l->request_timeout};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] < least) least = all[i];
  return least / 4;
}

static void on_sweep(gl_timer *timer) {
  gl_server *s = GL_CONTAINER(timer, gl_server, sweep);
  if (!s->listener && !s->conns) return;
  gl_timer_arm(&s->host->clock, timer, sweep_interval(&s->limits)); /* first: the timer's place in the heap is still free, so this cannot fail */
  if (s->stopped) {
    walk_slice(s, &s->stopped, shut_down);
  } else {
    if (!s->swept) {
      s->swept = s->conns;
      s->crowded = s->listener && gl_listener_keeps_waiting(s->listener);
    }
    walk_slice(s, &s->swept, gl_conn_sweep);
  }
  if (s->swept || s->stopped) gl_timer_arm(&s->host->clock, timer, 0);
}

/* ---- listening ---- */

bool gl_server_speaks_h2(const gl_server *s) { return s->limits.max_streams && gl_h2_library(); }

static void on_secured(gl_stream *stream, int status) {
  if (!status && gl_tls_speaks(stream, "h2")) gl_h2_begin(stream->owner, NULL, 0);
}

/* A handshake has the time that the head has, of which it is the beginning: gl_conn_sweep goes by the latter, and this is its backstop. */
static bool secure(gl_server *s, gl_stream *stream, const char *received, size_t n) {
  static const char plain[] = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
                              "this address speaks HTTPS, and the request came in the clear\n";
  gl_tls_start start = {.config = s->tls, .timeout = s->limits.header_timeout, .ready = on_secured, .plain_answer = plain,
    .received = received, .received_len = n};
  return !s->tls || gl_tls_begin(stream, &start);
}

static void complain(gl_server *s, const char *why) {
  if (s->listener) gl_listener_complain(s->listener, why);
}

static const char no_memory[] = "not enough memory for a connection: it was closed";

static void on_proxied(gl_stream *stream, const gl_proxied *what, const char *rest, size_t n) {
  gl_conn *c = stream->owner;
  gl_server *s = c->server;
  if (!what) {
    complain(s, "a trusted proxy's connection does not begin with a header of the PROXY protocol, as the option proxy_protocol says: it was closed");
    gl_stream_reset(stream);
    return;
  }
  gl_conn_announce(c, what);
  if (!secure(s, stream, rest, n)) {
    complain(s, no_memory);
    gl_stream_close(stream);
  } else if (!s->tls && n) {
    stream->user->data(stream, rest, n);
  }
}

static bool is_announcer(const gl_server *s, const gl_stream *stream) {
  struct sockaddr_storage address;
  int len = sizeof address, family = AF_UNIX;
  if (stream->uv.handle.type == UV_TCP && uv_tcp_getpeername(&stream->uv.tcp, (struct sockaddr *)&address, &len) == 0) family = address.ss_family;
  return gl_networks_have(s->announcers, family, &address);
}

static void on_accepted(gl_listener *l, gl_stream *stream) {
  gl_server *s = l->owner;
  bool behind = s->announcers && is_announcer(s, stream);
  if (!gl_conn_new(s, stream, behind) || !(behind ? gl_proxied_begin(stream, on_proxied) : secure(s, stream, NULL, 0))) {
    gl_stream_close(stream); /* a connection that has been made goes with it */
    gl_listener_complain(l, no_memory);
  }
  if (s->nconns < s->limits.max_connections) return;
  gl_listener_hold(l);
  gl_listener_complain(l, "as many connections as max_connections allows: further clients wait");
}

static void on_listener_closed(gl_listener *l) { gl_server_unref(l->owner); }

static const gl_listener_user listener_user = {&gl_conn_user, on_accepted, on_listener_closed};

int gl_server_listen(gl_server *s, const gl_address *address) {
  gl_host *h = s->host;
  s->sweep.fire = on_sweep;
  int err = gl_listener_open(h, address, &listener_user, s, &s->listener);
  if (err) return err;
  s->refs++; /* the listener's: on_listener_closed drops it */
  if (!gl_timer_arm(&h->clock, &s->sweep, sweep_interval(&s->limits))) {
    gl_listener_close(s->listener, false);
    s->listener = NULL;
    return UV_ENOMEM;
  }
  h->holds++;
  memcpy(s->address, s->listener->text, sizeof s->address);
  return 0;
}

void gl_server_set_tls(gl_server *s, gl_tls_config *tls) {
  gl_tls_config_unref(s->tls);
  s->tls = tls;
}

static void stop_listening(gl_server *s, bool drain) {
  if (!s->listener) return;
  gl_listener_close(s->listener, drain);
  s->listener = NULL;
  s->host->holds--;
}

void gl_server_conn_closed(gl_server *s) {
  s->nconns--;
  if (s->listener && s->nconns < s->limits.max_connections) gl_listener_resume(s->listener);
  if (s->closing && s->nconns == 0) s->idle(s);
  gl_server_unref(s);
}

/* ---- stopping ---- */

void gl_server_stop(gl_server *s, bool fresh) {
  stop_listening(s, fresh);
  s->closing = true;
  s->fresh = fresh;
  s->stopped = s->conns;
  walk_slice(s, &s->stopped, shut_down);
  if (s->stopped) gl_timer_arm(&s->host->clock, &s->sweep, 0);
}

void gl_server_abort(gl_server *s) {
  s->closing = true;
  stop_listening(s, false);
  for (gl_conn *c = s->conns, *next; c; c = next) {
    next = c->next;
    gl_conn_abort(c);
  }
}
