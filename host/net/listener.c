/* SPDX-License-Identifier: MIT
 *
 * libuv's own listening handles are not used: out of descriptors they accept and close all that waits, and without memory
 * for one connection they never look for another.
 */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/check.h"
#include "core/log.h"

#define BACKLOG 1024
#define AT_ONCE 256           /* connections taken before others have their turn, */
#define AT_ONCE_NS 1000000    /* if it does not take longer than this: there may be TLS to set up; */
#define LOOK 8                /* so many between two looks at the clock */
#define RETRY_SECONDS 0.05
#define COMPLAINT_MS 10000

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle) {
  gl_listener *l = handle->data;
  l->host->census.handles--;
  l->user->closed(l);
  free(l);
}

/* Removes the file of a unix socket, unless it is not this socket's: a forked child leaves it to its parent, and another server
 * may have put its own there. The inode number tells, since the open socket keeps it from being used again. */
static void remove_file(const gl_listener *l) {
  struct stat st;
  if (l->bound != getpid() || lstat(l->address.path, &st) != 0) return;
  if (st.st_dev == l->device && st.st_ino == l->inode) unlink(l->address.path);
}

/* ---- accepting ---- */

static void on_readable(uv_poll_t *handle, int status, int events);

static bool is_paused(const gl_listener *l) { return l->held || l->starved; }

/* Look for connections exactly when there is somebody to take them. */
static void watch(gl_listener *l) {
  if (l->closing) return;
  if (is_paused(l)) uv_poll_stop(&l->poll);
  else uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void gl_listener_complain(gl_listener *l, const char *why) {
  uint64_t now = uv_now(&l->host->loop);
  if (l->complained && now - l->complained < COMPLAINT_MS) return;
  l->complained = now ? now : 1;
  gl_log(l->host, GL_LOG_WARNING, l->text, why, strlen(why), NULL);
}

static void starve(gl_listener *l, int error) {
  char why[160];
  l->starved = true;
  watch(l);
  gl_timer_arm(&l->host->clock, &l->retry, RETRY_SECONDS);
  snprintf(why, sizeof why, "no connection can be accepted (%s): clients wait", uv_strerror(error));
  gl_listener_complain(l, why);
}

static int open_stream(gl_stream *s, int family, int fd) {
  return family == AF_UNIX ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
}

/* Makes a stream of the descriptor in l->accepted, for the user. False: not now. */
static bool make_stream(gl_listener *l) {
  gl_stream *s = gl_stream_new(l->host, l->address.family, l->user->streams, NULL);
  if (!s) {
    starve(l, UV_ENOMEM);
    return false;
  }
  int fd = l->accepted, err = open_stream(s, l->address.family, fd);
  l->accepted = -1;
  if (err) {
    close(fd);
    gl_stream_close(s); /* its owner is NULL */
  } else {
    l->user->accepted(l, s);
  }
  return true;
}

/* What accept(2) says about one connection is no news about the next one. */
static bool is_of_one(int error) { return error == ECONNABORTED || error == EPROTO || error == EPERM || error == EINTR; }

/* Takes the next connection. False: there is none, or it has to wait. */
static bool accept_one(gl_listener *l) {
  if (l->accepted < 0) l->accepted = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (l->accepted >= 0) return make_stream(l);
  if (is_of_one(errno)) return true;
  if (errno != EAGAIN) starve(l, uv_translate_sys_error(errno));
  return false;
}

static void on_readable(uv_poll_t *handle, int status, int events) {
  (void)events;
  gl_listener *l = handle->data;
  if (status < 0) starve(l, status);
  uint64_t until = 0;
  for (int i = 1; i <= AT_ONCE && !l->closing && !is_paused(l); i++) {
    if (!accept_one(l)) return;
    if (i % LOOK != 0) continue;
    uint64_t now = uv_hrtime();
    if (until && now >= until) return;
    if (!until) until = now + AT_ONCE_NS;
  }
}

static void on_retry(gl_timer *timer) {
  gl_listener *l = GL_CONTAINER(timer, gl_listener, retry);
  gl_timer_arm(&l->host->clock, timer, GL_FOREVER);
  if (!l->starved) return;
  l->starved = false;
  watch(l);
  if (l->accepted >= 0 && !l->held) make_stream(l);
}

bool gl_listener_keeps_waiting(const gl_listener *l) {
  struct pollfd listening = {.fd = l->fd, .events = POLLIN};
  return is_paused(l) && (l->accepted >= 0 || poll(&listening, 1, 0) > 0);
}

void gl_listener_hold(gl_listener *l) {
  l->held = true;
  watch(l);
}

void gl_listener_resume(gl_listener *l) {
  if (!l->held) return;
  l->held = false;
  if (l->accepted >= 0) { /* the kernel does not tell of this one again */
    l->starved = true;
    gl_timer_arm(&l->host->clock, &l->retry, 0);
  }
  watch(l);
}

void gl_listener_close(gl_listener *l, bool drain) {
  if (l->closing) return;
  for (int i = 0; drain && i < 2 * BACKLOG; i++)
    if (!accept_one(l)) break;
  l->closing = true;
  remove_file(l);
  gl_timer_drop(&l->host->clock, &l->retry);
  uv_close((uv_handle_t *)&l->poll, on_closed);
  if (l->accepted >= 0) close(l->accepted);
  close(l->fd);
}

/* ---- opening ---- */

static int error_of(int result) { return result == 0 ? 0 : uv_translate_sys_error(errno); }

/* A socket file left by a process that died would refuse every later start; one that answers is in use. */
static int clear_stale(const char *path) {
  struct stat st, now;
  if (lstat(path, &st) != 0) return 0;
  if (!S_ISSOCK(st.st_mode)) return UV_EEXIST;
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int err = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : errno;
  close(fd);
  if (err == 0 || err == EAGAIN) return UV_EADDRINUSE; /* EAGAIN: it answers, but is busy */
  if (err != ECONNREFUSED && err != ENOENT) return uv_translate_sys_error(err);
  if (lstat(path, &now) != 0) return errno == ENOENT ? 0 : uv_translate_sys_error(errno);
  if (now.st_dev != st.st_dev || now.st_ino != st.st_ino) return UV_EADDRINUSE; /* another was faster */
  return unlink(path) == 0 || errno == ENOENT ? 0 : uv_translate_sys_error(errno);
}

/* What mode the socket has, its file has from the first: there is no moment for somebody who may not. */
static int bind_path(gl_listener *l) {
  const gl_address *address = &l->address;
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  struct stat st;
  snprintf(l->text, sizeof l->text, "unix:%s", address->path);
  int err = clear_stale(address->path);
  if (err) return err;
  memcpy(sa.sun_path, address->path, sizeof sa.sun_path);
  if (address->mode && fchmod(l->fd, address->mode) != 0) return -errno;
  if (bind(l->fd, (struct sockaddr *)&sa, sizeof sa) != 0 || lstat(address->path, &st) != 0) return -errno;
  l->bound = getpid();
  l->device = st.st_dev;
  l->inode = st.st_ino;
  return 0;
}

static int bind_port(gl_listener *l) {
  int on = 1;
  struct sockaddr_storage sa;
  socklen_t len = l->address.family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* its connections inherit it */
  if (bind(l->fd, (struct sockaddr *)&l->address.ip, len) != 0) return uv_translate_sys_error(errno);
  len = sizeof sa;
  if (getsockname(l->fd, (struct sockaddr *)&sa, &len) == 0) gl_address_text((struct sockaddr *)&sa, l->text);
  return 0;
}

static int open_socket(gl_listener *l) {
  l->fd = socket(l->address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (l->fd < 0) return uv_translate_sys_error(errno);
  int err = l->address.family == AF_UNIX ? bind_path(l) : bind_port(l);
  if (!err) err = error_of(listen(l->fd, BACKLOG));
  if (!err && !gl_timer_arm(&l->host->clock, &l->retry, GL_FOREVER)) err = UV_ENOMEM;
  if (!err) err = uv_poll_init(&l->host->loop, &l->poll, l->fd);
  if (!err) return 0;
  gl_timer_drop(&l->host->clock, &l->retry);
  remove_file(l);
  close(l->fd);
  return err;
}

int gl_listener_open(gl_host *h, const gl_address *address, const gl_listener_user *user, void *owner, gl_listener **out) {
  gl_listener *l = calloc(1, sizeof *l);
  if (!l) return UV_ENOMEM;
  *l = (gl_listener){.host = h, .user = user, .owner = owner, .address = *address, .fd = -1, .accepted = -1, .retry.fire = on_retry};
  int err = open_socket(l);
  if (err) {
    free(l);
    return err;
  }
  l->poll.data = l;
  h->census.handles++;
  watch(l);
  *out = l;
  return 0;
}
