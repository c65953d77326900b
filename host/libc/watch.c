/* SPDX-License-Identifier: MIT */
#include "libc/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/check.h"

#define AT_ONCE 64 /* events of one call */
#define ALWAYS (EPOLLERR | EPOLLHUP)

typedef struct descriptor {
  gl_watch *watches; /* newest first */
  bool known;        /* the number was added to the epoll */
} descriptor;

struct gl_watcher {
  uv_poll_t poll; /* first: what on_closed gets */
  int epoll;
  int len;        /* of `at` */
  size_t watches; /* on all lists: while there are any, `poll` keeps the loop alive */
  descriptor *at; /* by number */
};

static void count(struct gl_watcher *r, int more) {
  r->watches += (size_t)more;
  if (r->watches) uv_ref((uv_handle_t *)&r->poll);
  else uv_unref((uv_handle_t *)&r->poll);
}

static bool grow(struct gl_watcher *r, int fd) {
  if (fd < r->len) return true;
  int len = r->len ? r->len : 64;
  while (len <= fd) len = len > fd / 2 ? fd + 64 : len * 2;
  descriptor *at = realloc(r->at, (size_t)len * sizeof *at);
  if (!at) return false;
  memset(at + r->len, 0, (size_t)(len - r->len) * sizeof *at);
  r->at = at;
  r->len = len;
  return true;
}

/* ---- the epoll ---- */

static int control(const struct gl_watcher *r, int how, int fd, uint32_t events) {
  struct epoll_event e = {.events = events | EPOLLONESHOT, .data.fd = fd};
  return epoll_ctl(r->epoll, how, fd, &e) == 0 ? 0 : -errno;
}

/* Makes the epoll tell what the watches of a descriptor want. Returns 0 or a negative errno. */
static int arm(struct gl_watcher *r, int fd) {
  descriptor *d = &r->at[fd];
  uint32_t wanted = 0;
  for (const gl_watch *w = d->watches; w; w = w->next) wanted |= w->events | ALWAYS;
  int err = control(r, d->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, wanted);
  if (err == -ENOENT) err = control(r, EPOLL_CTL_ADD, fd, wanted);
  else if (err == -EEXIST) err = control(r, EPOLL_CTL_MOD, fd, wanted);
  d->known = err == 0;
  return err;
}

/* Wakes whom the events concern, and arms the descriptor again for the others. */
static void tell(struct gl_watcher *r, int fd, uint32_t events) {
  descriptor *d = &r->at[fd];
  bool others = false;
  for (gl_watch *w = d->watches; w; w = w->next) {
    if (events & (w->events | ALWAYS)) w->on_ready(w);
    else others = true;
  }
  if (others) arm(r, fd);
}

static void on_event(uv_poll_t *poll, int status, int events) {
  struct gl_watcher *r = (struct gl_watcher *)poll;
  struct epoll_event e[AT_ONCE];
  (void)status;
  (void)events;
  int n = epoll_wait(r->epoll, e, AT_ONCE, 0);
  for (int i = 0; i < n; i++) tell(r, e[i].data.fd, e[i].events);
}

/* ---- watches ---- */

int gl_watch_add(struct gl_watcher *r, gl_watch *w) {
  if (w->fd < 0) return -EBADF;
  if (!grow(r, w->fd)) return -ENOMEM;
  descriptor *d = &r->at[w->fd];
  w->next = d->watches;
  d->watches = w;
  w->listed = true;
  count(r, 1);
  int err = arm(r, w->fd); /* also when it is armed for this already: the number may be another file's by now */
  if (err) gl_watch_remove(r, w);
  return err;
}

void gl_watch_remove(struct gl_watcher *r, gl_watch *w) {
  if (!w->listed) return;
  gl_watch **at = &r->at[w->fd].watches;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  w->listed = false;
  count(r, -1);
}

bool gl_watch_has(const struct gl_watcher *r, int fd) { return fd >= 0 && fd < r->len && r->at[fd].watches; }

int gl_watch_end(const struct gl_watcher *r) { return r->len; }

void gl_watch_closed(struct gl_watcher *r, int fd) {
  descriptor *d = &r->at[fd];
  while (d->watches) {
    gl_watch *w = d->watches;
    gl_watch_remove(r, w);
    w->closed = true;
    w->on_ready(w);
  }
  if (d->known) epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
  d->known = false;
}

/* ---- life ---- */

struct gl_watcher *gl_watcher_new(gl_host *h) {
  struct gl_watcher *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (r->epoll >= 0 && uv_poll_init(&h->loop, &r->poll, r->epoll) == 0) {
    uv_poll_start(&r->poll, UV_READABLE, on_event);
    uv_unref((uv_handle_t *)&r->poll);
    return r;
  }
  if (r->epoll >= 0) close(r->epoll);
  free(r);
  return NULL;
}

static void on_closed(uv_handle_t *handle) { free(handle); }

void gl_watcher_free(struct gl_watcher *r) {
  GL_CHECK(!r->watches);
  uv_poll_stop(&r->poll);
  close(r->epoll);
  free(r->at);
  uv_close((uv_handle_t *)&r->poll, on_closed);
}
