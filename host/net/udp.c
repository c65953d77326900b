/* SPDX-License-Identifier: MIT */
#include "net/udp.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define QUEUE_BYTES ((size_t)4 * 1024 * 1024)

gl_udp *gl_udp_new(gl_host *h) {
  gl_udp *u = calloc(1, sizeof *u);
  if (!u) return NULL;
  u->host = h;
  u->last = &u->first;
  u->longest = GL_SCRATCH;
  u->closed = true;
  u->refs = 1;
  return u;
}

void gl_udp_unref(gl_udp *u) {
  if (--u->refs > 0) return;
  for (gl_datagram *d = u->first, *next; d; d = next) {
    next = d->next;
    gl_memory_resize(d, sizeof *d + d->n, 0);
  }
  free(u);
}

static void wake(gl_op *op) {
  if (op && !op->done) gl_op_done(op, 0);
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
  (void)hint;
  gl_udp *u = handle->data;
  *buf = uv_buf_init(u->host->scratch, (unsigned)u->longest);
}

/* Adds a datagram to the queue. Without memory the datagram is lost, as any datagram may be. */
static void keep(gl_udp *u, const char *bytes, size_t n, const struct sockaddr *from, bool cut) {
  gl_datagram *d = gl_memory_resize(NULL, 0, sizeof *d + n);
  if (!d) return;
  d->next = NULL;
  d->n = n;
  d->cut = cut;
  memcpy(&d->from, from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
  memcpy(d->bytes, bytes, n);
  *u->last = d;
  u->last = &d->next;
  u->count++;
  u->bytes += n;
}

static void on_datagram(uv_udp_t *uv, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags) {
  gl_udp *u = uv->data;
  if (n == 0 && !from) return; /* libuv says so that there is nothing more to read now */
  if (n < 0) u->error = (int)n;
  else keep(u, buf->base, (size_t)n, from, (flags & UV_UDP_PARTIAL) != 0);
  if (u->count >= u->limit || u->bytes >= QUEUE_BYTES) {
    uv_udp_recv_stop(uv);
    u->receiving = false;
  }
  if (u->first || u->error) wake(u->reader);
}

int gl_udp_receive(gl_udp *u) {
  if (u->receiving) return 0;
  int err = uv_udp_recv_start(&u->uv, on_alloc, on_datagram);
  u->receiving = err == 0;
  return err;
}

void gl_udp_shift(gl_udp *u) {
  gl_datagram *d = u->first;
  if (!(u->first = d->next)) u->last = &u->first;
  u->count--;
  u->bytes -= d->n;
  gl_memory_resize(d, sizeof *d + d->n, 0);
  if (u->count <= u->limit / 2 && u->bytes < QUEUE_BYTES / 2) gl_udp_receive(u);
}

/* ---- life ---- */

static void name_it(gl_udp *u) {
  struct sockaddr_storage sa;
  int len = sizeof sa;
  if (uv_udp_getsockname(&u->uv, (struct sockaddr *)&sa, &len) == 0) gl_address_text((struct sockaddr *)&sa, u->address);
}

int gl_udp_open_socket(gl_udp *u, const gl_address *address, unsigned flags) {
  gl_address_text((const struct sockaddr *)&address->ip, u->address);
  int err = uv_udp_init(&u->host->loop, &u->uv);
  if (err) return err;
  u->uv.data = u;
  u->family = address->family;
  u->closed = false;
  u->refs++;
  u->host->census.handles++;
  err = uv_udp_bind(&u->uv, (const struct sockaddr *)&address->ip, flags);
  if (!err) name_it(u);
  return err;
}

int gl_udp_connect(gl_udp *u, const gl_address *to) {
  int err = uv_udp_connect(&u->uv, (const struct sockaddr *)&to->ip);
  if (err) return err;
  gl_address_text((const struct sockaddr *)&to->ip, u->peer);
  name_it(u); /* connecting chose a route, and with the route our own address */
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  gl_udp *u = handle->data;
  u->host->census.handles--;
  gl_udp_unref(u);
}

void gl_udp_close(gl_udp *u) {
  if (u->closed) return;
  u->closed = true;
  uv_close((uv_handle_t *)&u->uv, on_closed);
  wake(u->reader);
}
