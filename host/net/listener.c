/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static void on_closed(uv_handle_t *handle) {
  gl_listener *l = handle->data;
  l->host->census.handles--;
  l->user->closed(l);
  free(l);
}

/* The file at that path may be another server's by now. Ours cannot have lent its number to it: the socket, which is still
 * open, holds it. */
static void remove_file(const gl_listener *l) {
  struct stat st;
  if (!l->bound || lstat(l->address.path, &st) != 0) return;
  if (st.st_dev == l->device && st.st_ino == l->inode) unlink(l->address.path);
}

void gl_listener_close(gl_listener *l) {
  if (l->closing) return;
  l->closing = true;
  remove_file(l);
  uv_close(&l->uv.handle, on_closed);
}

static void on_connection(uv_stream_t *server, int status) {
  gl_listener *l = server->data;
  if (status < 0) return; /* libuv has shed a connection when descriptors ran out; it goes on accepting */
  gl_stream *s = gl_stream_new(l->host, l->address.family, l->user->streams, NULL);
  if (!s) return; /* the connection stays in the backlog */
  if (uv_accept(server, &s->uv.stream) != 0) {
    gl_stream_close(s); /* its owner is NULL */
    return;
  }
  if (l->address.family != AF_UNIX) uv_tcp_nodelay(&s->uv.tcp, 1);
  l->user->accepted(l, s);
}

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
static int bind_file(gl_listener *l, int fd) {
  const gl_address *address = &l->address;
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  struct stat st;
  memcpy(sa.sun_path, address->path, sizeof sa.sun_path);
  if (address->mode && fchmod(fd, address->mode) != 0) return -errno;
  if (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || lstat(address->path, &st) != 0) return -errno;
  l->bound = true;
  l->device = st.st_dev;
  l->inode = st.st_ino;
  return 0;
}

/* libuv's own bind knows no mode, and would remove whatever has the name when it is closed. */
static int bind_unix(gl_listener *l) {
  snprintf(l->text, sizeof l->text, "unix:%s", l->address.path);
  int err = clear_stale(l->address.path);
  if (err) return err;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  err = bind_file(l, fd);
  if (!err) err = uv_pipe_open(&l->uv.pipe, fd);
  if (err) {
    remove_file(l);
    l->bound = false;
    close(fd);
  }
  return err;
}

static int bind_to(gl_listener *l) {
  if (l->address.family == AF_UNIX) return bind_unix(l);
  return uv_tcp_bind(&l->uv.tcp, (const struct sockaddr *)&l->address.ip, 0);
}

static void name_it(gl_listener *l) {
  struct sockaddr_storage sa;
  int len = sizeof sa;
  if (l->address.family == AF_UNIX) return;
  if (uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&sa, &len) == 0) gl_address_text((struct sockaddr *)&sa, l->text);
}

int gl_listener_open(gl_host *h, const gl_address *address, const gl_listener_user *user, void *owner, gl_listener **out) {
  gl_listener *l = calloc(1, sizeof *l);
  if (!l) return UV_ENOMEM;
  l->host = h;
  l->user = user;
  l->owner = owner;
  l->address = *address;
  if (address->family == AF_UNIX) uv_pipe_init(&h->loop, &l->uv.pipe, 0);
  else uv_tcp_init(&h->loop, &l->uv.tcp);
  l->uv.handle.data = l;
  h->census.handles++;
  int err = bind_to(l);
  if (!err) err = uv_listen(&l->uv.stream, BACKLOG, on_connection);
  if (err) {
    gl_listener_close(l);
    return err;
  }
  name_it(l);
  *out = l;
  return 0;
}
