/* SPDX-License-Identifier: MIT */
#include "net/hangup.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct gl_hangup {
  uv_poll_t poll;
  int fd;
  void (*told)(void *arg);
  void *arg;
};

static void on_closed(uv_handle_t *handle) { free(handle->data); }

/* Reports the end. A `status` other than 0 means a reset, for which libuv says UV_EBADF; reading will find the true error. */
static void on_event(uv_poll_t *poll, int status, int events) {
  gl_hangup *w = poll->data;
  (void)status;
  (void)events;
  w->told(w->arg);
}

gl_hangup *gl_hangup_watch(gl_host *h, int fd, void (*told)(void *arg), void *arg) {
  gl_hangup *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->told = told;
  w->arg = arg;
  w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (w->fd < 0 || uv_poll_init(&h->loop, &w->poll, w->fd) != 0) {
    if (w->fd >= 0) close(w->fd);
    free(w);
    return NULL;
  }
  w->poll.data = w;
  uv_poll_start(&w->poll, UV_DISCONNECT, on_event);
  return w;
}

void gl_hangup_drop(gl_hangup *w) {
  uv_close((uv_handle_t *)&w->poll, on_closed);
  close(w->fd); /* the loop does not poll a handle that is closing */
}

bool gl_hangup_is_there(int fd) {
  struct pollfd ask = {.fd = fd, .events = POLLRDHUP};
  return poll(&ask, 1, 0) > 0;
}

int gl_hangup_reason(int fd) {
  int err = 0;
  socklen_t len = sizeof err;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || !err) return UV_EOF;
  return uv_translate_sys_error(err);
}
