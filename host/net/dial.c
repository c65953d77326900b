/* SPDX-License-Identifier: MIT */
#include "net/dial.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "net/lookup.h"

#define STAGGER 0.25 /* seconds between attempts (RFC 8305, 8) */

typedef struct attempt {
  gl_dial *dial;
  gl_stream *stream; /* NULL once it was closed or won */
  uv_connect_t req;
} attempt;

struct gl_dial {
  gl_host *host;
  gl_dial_done done;
  void *owner;
  const gl_stream_user *user;
  bool (*allows)(const gl_address *address);
  void (*resolved)(void *owner);
  gl_lookup *looking; /* up the name, or NULL */
  gl_timer stagger;
  unsigned n, next;  /* addresses, and which one to try next */
  unsigned pending;  /* callbacks to come; it is freed after the last */
  bool over;         /* won, failed or cancelled */
  bool tried;        /* `status` is that of an attempt at `failed` */
  int status;
  gl_address failed;
  gl_address addresses[GL_DIAL_MAX];
  attempt attempts[GL_DIAL_MAX];
};

static void finish(gl_dial *d) {
  d->over = true;
  gl_timer_drop(&d->host->clock, &d->stagger);
  for (unsigned i = 0; i < d->next; i++) {
    if (d->attempts[i].stream) gl_stream_close(d->attempts[i].stream); /* on_connect comes with UV_ECANCELED */
    d->attempts[i].stream = NULL;
  }
}

static void release(gl_dial *d) {
  if (d->over && d->pending == 0) free(d);
}

static void tell(gl_dial *d, gl_stream *stream, int status) {
  finish(d);
  d->done(d->owner, stream, status, d->tried ? &d->failed : NULL);
}

/* That a family is not there says less than what another address answered. */
static bool says_little(int status) { return status == UV_ENETUNREACH || status == UV_EAFNOSUPPORT || status == UV_EADDRNOTAVAIL; }

static void note(gl_dial *d, unsigned i, int status) {
  if (d->tried && says_little(status)) return;
  d->tried = true;
  d->status = status;
  d->failed = d->addresses[i];
}

static void on_connect(uv_connect_t *req, int status);

static int begin(gl_dial *d, unsigned i) {
  attempt *a = &d->attempts[i];
  const gl_address *to = &d->addresses[i];
  a->dial = d;
  a->stream = gl_stream_new(d->host, to->family, d->user, NULL);
  if (!a->stream) return UV_ENOMEM;
  int err = 0;
  if (to->family == AF_UNIX) uv_pipe_connect(&a->req, &a->stream->uv.pipe, to->path, on_connect);
  else err = uv_tcp_connect(&a->req, &a->stream->uv.tcp, (const struct sockaddr *)&to->ip, on_connect);
  if (!err) {
    d->pending++;
    return 0;
  }
  gl_stream_close(a->stream);
  a->stream = NULL;
  return err;
}

/* Try the next address that can be tried. When all have failed, so has the whole. */
static void go_on(gl_dial *d) {
  gl_timer_drop(&d->host->clock, &d->stagger);
  while (d->next < d->n) {
    unsigned i = d->next++;
    int err = begin(d, i);
    if (err) {
      note(d, i, err);
      continue;
    }
    if (d->next < d->n) gl_timer_arm(&d->host->clock, &d->stagger, STAGGER);
    return;
  }
  if (d->pending == 0) tell(d, NULL, d->status);
}

static void on_stagger(gl_timer *timer) { go_on(GL_CONTAINER(timer, gl_dial, stagger)); }

static void on_connect(uv_connect_t *req, int status) {
  attempt *a = GL_CONTAINER(req, attempt, req);
  gl_dial *d = a->dial;
  gl_stream *stream = a->stream;
  d->pending--;
  if (!d->over) {
    a->stream = NULL;
    if (status == 0) {
      if (stream->uv.handle.type == UV_TCP) uv_tcp_nodelay(&stream->uv.tcp, 1);
      tell(d, stream, 0);
    } else {
      note(d, (unsigned)(a - d->attempts), status);
      gl_stream_close(stream);
      go_on(d);
    }
  }
  release(d);
}

/* ---- names ---- */

static struct addrinfo *next_of(struct addrinfo *at, int family) {
  while (at && at->ai_family != family) at = at->ai_next;
  return at;
}

/* The families in turn, beginning with the one the system prefers. */
static void interleave(gl_dial *d, struct addrinfo *list) {
  int first = list && list->ai_family == AF_INET6 ? AF_INET6 : AF_INET;
  struct addrinfo *at[2] = {next_of(list, first), next_of(list, first == AF_INET ? AF_INET6 : AF_INET)};
  for (int turn = 0; d->n < GL_DIAL_MAX && (at[0] || at[1]); turn = !turn) {
    if (!at[turn]) continue;
    gl_address *to = &d->addresses[d->n++];
    to->family = at[turn]->ai_family;
    memcpy(&to->ip, at[turn]->ai_addr, at[turn]->ai_addrlen);
    at[turn] = next_of(at[turn]->ai_next, to->family);
  }
}

/* Leaves out what is not allowed. */
static void choose(gl_dial *d) {
  unsigned kept = 0;
  for (unsigned i = 0; d->allows && i < d->n; i++)
    if (d->allows(&d->addresses[i])) d->addresses[kept++] = d->addresses[i];
  if (!d->allows || kept == d->n) return;
  if (kept == 0) d->status = UV_EACCES;
  d->n = kept;
}

static void on_resolved(void *owner, int status, struct addrinfo *list) {
  gl_dial *d = owner;
  d->looking = NULL;
  d->status = UV_EAI_NODATA; /* if the list is empty */
  interleave(d, list);
  uv_freeaddrinfo(list);
  choose(d);
  d->pending++; /* the owner may give it up meanwhile */
  if (status == 0 && d->resolved) d->resolved(d->owner);
  d->pending--;
  if (!d->over && status == 0) go_on(d);
  else if (!d->over) tell(d, NULL, status);
  release(d);
}

/* ---- from outside ---- */

bool gl_dial_start(gl_host *h, const gl_dial_to *to, gl_dial_done done, void *owner, gl_dial **out) {
  gl_dial *d = calloc(1, sizeof *d);
  if (!d) return false;
  *out = d;
  d->host = h;
  d->done = done;
  d->owner = owner;
  d->user = to->user;
  d->allows = to->allows;
  d->resolved = to->resolved;
  d->stagger.fire = on_stagger;
  if (to->n) {
    d->n = to->n < GL_DIAL_MAX ? to->n : GL_DIAL_MAX;
    memcpy(d->addresses, to->addresses, d->n * sizeof *d->addresses);
    choose(d);
    go_on(d);
  } else {
    int err = gl_lookup_start(h, to->host, to->port, to->family, on_resolved, d, &d->looking);
    if (err) tell(d, NULL, err);
  }
  release(d);
  return true;
}

void gl_dial_cancel(gl_dial *d) {
  if (d->looking) gl_lookup_cancel(d->looking);
  finish(d);
  release(d);
}
