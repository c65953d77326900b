/* SPDX-License-Identifier: MIT */
#include "io/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LITTLE 65536 /* bytes of a write that may go without asking: what the buffer of a file holds */
#define READER 0
#define WRITER 1

int gl_open_cached(const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_CACHED};
  long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  if (fd >= 0) return (int)fd;
  return errno == ENOENT ? -ENOENT : -EAGAIN;
}

/* ---- what a descriptor is ---- */

void gl_descriptor_init(gl_descriptor *d, int fd, bool own) {
  *d = (gl_descriptor){.fd = fd, .io = fd, .nonblock = own, .nowait = {true, true}};
}

/* O_NONBLOCK on a terminal would reach every process on it; a description of our own does not. */
static void open_terminal(gl_descriptor *d) {
  char path[32];
  int flags = fcntl(d->fd, F_GETFL);
  if (d->nonblock || flags < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", d->fd);
  int own = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return;
  d->io = own;
  d->nonblock = true;
}

void gl_descriptor_look(gl_descriptor *d) {
  struct stat st;
  if (d->known) return;
  d->known = true;
  bool exists = fstat(d->fd, &st) == 0;
  mode_t mode = exists ? st.st_mode : 0;
  d->polled = exists && !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode);
  d->terminal = S_ISCHR(mode) && isatty(d->fd);
  d->device = S_ISCHR(mode) && !d->terminal;
  d->size = S_ISREG(mode) ? st.st_size : 0;
  d->seekable = d->size > 0 || (exists && !d->polled && lseek(d->fd, 0, SEEK_CUR) >= 0); /* what the kernel makes up has no size, and may not seek */
  if (d->terminal) open_terminal(d);
  if (!d->polled) d->nonblock = false;
}

void gl_descriptor_drop(gl_descriptor *d) {
  if (d->io != d->fd) close(d->io);
  d->fd = d->io = -1;
}

/* ---- attempts ---- */

static bool is_ready(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  return poll(&p, 1, 0) != 0;
}

/* Translates the result of a call that does not block. */
static ssize_t judge(gl_descriptor *d, int way, ssize_t n) {
  if (n >= 0) return n;
  if (errno == EAGAIN || errno == EINTR) return d->polled ? GL_WAIT_READY : GL_WAIT_POOL;
  if (d->nonblock || d->device) return -errno;
  if (errno == EOPNOTSUPP || errno == ENOSYS) {
    d->nowait[way] = false;
    return GL_WAIT_POOL;
  }
  return -errno;
}

ssize_t gl_descriptor_read(gl_descriptor *d, void *to, size_t n) {
  if (d->polled && !is_ready(d->io, POLLIN)) return GL_WAIT_READY;
  if (d->nonblock || d->device) return judge(d, READER, read(d->io, to, n));
  if (!d->nowait[READER]) return GL_WAIT_POOL;
  struct iovec v = {to, n};
  return judge(d, READER, preadv2(d->io, &v, 1, -1, RWF_NOWAIT));
}

/* Only these are known not to wait for a network or for another process. */
static bool is_local(int fd) {
  static const unsigned long known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC};
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return false;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if ((unsigned long)fs.f_type == known[i]) return true;
  return false;
}

/* Writes where the kernel cannot be asked not to wait. */
static ssize_t write_a_little(const gl_descriptor *d, const void *from, size_t n) {
  if (!d->cached || n > LITTLE) return GL_WAIT_POOL;
  ssize_t put = write(d->io, from, n);
  return put >= 0 ? put : errno == EINTR || errno == EAGAIN ? GL_WAIT_POOL : -errno;
}

ssize_t gl_descriptor_write(gl_descriptor *d, const void *from, size_t n) {
  if (d->polled && !is_ready(d->io, POLLOUT)) return GL_WAIT_READY;
  if (d->nonblock || d->device) return judge(d, WRITER, write(d->io, from, n));
  if (!d->nowait[WRITER]) return write_a_little(d, from, n);
  struct iovec v = {(void *)(uintptr_t)from, n};
  ssize_t put = judge(d, WRITER, pwritev2(d->io, &v, 1, -1, RWF_NOWAIT));
  if (d->nowait[WRITER]) return put;
  d->cached = !d->polled && is_local(d->fd);
  return write_a_little(d, from, n);
}

/* ---- blocking ---- */

static bool wait_ready(int fd, short events) {
  struct pollfd p = {.fd = fd, .events = events};
  return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

static bool again(const gl_descriptor *d, short events) {
  return errno == EINTR || (errno == EAGAIN && wait_ready(d->io, events));
}

ssize_t gl_descriptor_read_sync(const gl_descriptor *d, void *to, size_t n) {
  ssize_t got;
  do got = read(d->io, to, n);
  while (got < 0 && again(d, POLLIN));
  return got < 0 ? -errno : got;
}

ssize_t gl_descriptor_write_sync(const gl_descriptor *d, const void *from, size_t n) {
  ssize_t put;
  do put = write(d->io, from, n);
  while (put < 0 && again(d, POLLOUT));
  return put < 0 ? -errno : put;
}
