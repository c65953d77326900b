/* SPDX-License-Identifier: MIT */
#include "io/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define AT_ONCE 64 /* events of one turn */

struct gl_ready {
  uv_poll_t poll; /* first: what on_closed gets */
  int epoll;
};

/* One event at a time: what it starts may forget and free other watches. */
static void on_event(uv_poll_t *poll, int status, int events) {
  gl_ready *r = (gl_ready *)poll;
  (void)status;
  (void)events;
  for (int i = 0; i < AT_ONCE; i++) {
    struct epoll_event e;
    if (epoll_wait(r->epoll, &e, 1, 0) != 1) return;
    gl_ready_entry *w = e.data.ptr;
    bool both = (e.events & (EPOLLERR | EPOLLHUP)) != 0;
    bool in = w->in && (both || (e.events & EPOLLIN)), out = w->out && (both || (e.events & EPOLLOUT));
    if (in) w->in = false;
    if (out) w->out = false;
    w->on_ready(w, in, out);
  }
}

gl_ready *gl_ready_new(gl_host *h) {
  gl_ready *r = malloc(sizeof *r);
  if (!r) return NULL;
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (r->epoll >= 0 && uv_poll_init(&h->loop, &r->poll, r->epoll) == 0) {
    uv_poll_start(&r->poll, UV_READABLE, on_event);
    return r;
  }
  if (r->epoll >= 0) close(r->epoll);
  free(r);
  return NULL;
}

int gl_ready_wait(gl_ready *r, gl_ready_entry *w, int fd) {
  struct epoll_event e = {.events = EPOLLONESHOT, .data.ptr = w};
  if (w->in) e.events |= EPOLLIN;
  if (w->out) e.events |= EPOLLOUT;
  if (epoll_ctl(r->epoll, w->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) != 0) return -errno;
  w->known = true;
  return 0;
}

void gl_ready_remove(gl_ready *r, gl_ready_entry *w, int fd) {
  if (w->known) epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
  w->known = w->in = w->out = false;
}

/* The new epoll gets the number that libuv knows. */
void gl_ready_forked(gl_ready *r) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return; /* what is waited for there is the parent's to hear of */
  dup3(fd, r->epoll, O_CLOEXEC);
  close(fd);
  uv_poll_start(&r->poll, UV_READABLE, on_event);
}

static void on_closed(uv_handle_t *handle) { free(handle); }

void gl_ready_free(gl_ready *r) {
  uv_poll_stop(&r->poll);
  close(r->epoll);
  uv_close((uv_handle_t *)&r->poll, on_closed);
}
