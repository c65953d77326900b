/* SPDX-License-Identifier: MIT
 *
 * Whole contents: read, write as a whole, append, copy of a file.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/args.h"
#include "core/memory.h"
#include "fs/copy.h"
#include "fs/job.h"
#include "fs/replace.h"

#define GROW (64 * 1024)

/* ---- read ---- */

/* O_NONBLOCK: opening a named pipe must not hold a pool thread until somebody writes to it. */
static int open_regular(const char *path, struct stat *st) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return gl_fs_errno();
  int err = fstat(fd, st) == 0 ? 0 : gl_fs_errno();
  if (!err && !S_ISREG(st->st_mode)) err = S_ISDIR(st->st_mode) ? UV_EISDIR : UV_EINVAL;
  if (!err) return fd;
  close(fd);
  return err;
}

static int read_step(gl_fs_job *j, int fd, size_t n) {
  ssize_t got;
  if (atomic_load(&j->stop)) return UV_ECANCELED;
  do got = read(fd, j->data + j->len, n < GL_FS_STEP ? n : GL_FS_STEP);
  while (got < 0 && errno == EINTR);
  if (got < 0) return gl_fs_errno();
  j->len += (size_t)got;
  return (int)got;
}

/* Reads to the end, not just st_size bytes: files in /proc say 0, others grow. */
static int read_all(gl_fs_job *j, int fd) {
  size_t cap = (size_t)j->st.st_size + 1;
  for (int got = 1; got > 0;) {
    if (j->len == cap) cap += cap < GROW ? GROW : cap;
    if (cap > j->max + 1) cap = j->max + 1;
    char *data = gl_memory_resize(j->data, j->cap, cap);
    if (!data) return UV_ENOMEM;
    j->data = data;
    j->cap = cap;
    got = read_step(j, fd, cap - j->len);
    if (got < 0) return got;
    if (j->len > j->max) return UV_EFBIG;
  }
  return 0;
}

static void run_read(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  int fd = open_regular(j->path, &j->st);
  if (fd < 0) {
    w->result = fd;
    return;
  }
  w->result = (size_t)j->st.st_size > j->max ? UV_EFBIG : read_all(j, fd);
  close(fd);
}

static int push_read(lua_State *L, gl_op *op) {
  gl_fs_job *j = (gl_fs_job *)op;
  if (op->status < 0) return gl_fs_fail(L, op);
  lua_pushlstring(L, j->data, j->len);
  return 1;
}

static const gl_optype read_type = {"fs.read", push_read, gl_fs_cancel, gl_fs_free, gl_fs_object};

static int fs_read(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, GL_FS_MAX);
  luaL_argcheck(L, max >= 0 && max < LUA_MAXINTEGER / 4, 2, "a number of bytes >= 0 expected");
  gl_fs_job *j = gl_fs_job_new(L, &read_type, path, NULL, 0, run_read);
  j->max = (size_t)max;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

/* ---- write ---- */

static void run_write(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  gl_fs_replace r;
  int err = gl_fs_replace_begin(&r, j->path, j->flags & GL_FS_MODE ? &j->mode : NULL);
  if (!err) err = gl_fs_write_all(r.fd, j->bytes, j->size, -1, &j->stop, NULL);
  w->result = gl_fs_replace_end(&r, err, j->flags & GL_FS_SYNC);
}

static int append(gl_fs_job *j, int fd) {
  int err = gl_fs_write_all(fd, j->bytes, j->size, -1, &j->stop, NULL);
  if (!err && j->flags & GL_FS_MODE && fchmod(fd, j->mode) != 0) err = gl_fs_errno();
  if (!err && j->flags & GL_FS_SYNC && fsync(fd) != 0) err = gl_fs_errno();
  return err;
}

static void run_append(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  int fd = open(j->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  w->result = fd < 0 ? gl_fs_errno() : append(j, fd);
  if (fd >= 0 && close(fd) != 0 && !w->result) w->result = gl_fs_errno();
}

static const gl_optype write_type = {"fs.write", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype append_type = {"fs.append", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};

static int put(lua_State *L, const gl_optype *type, bool sync, void (*run)(gl_work *)) {
  size_t size;
  mode_t mode = 0;
  const char *path = gl_fs_check_path(L, 1), *bytes = luaL_checklstring(L, 2, &size);
  int flags = gl_fs_check_options(L, 3, GL_FS_MODE | GL_FS_SYNC, &mode);
  if (gl_args_bool(L, 3, "sync", sync)) flags |= GL_FS_SYNC;
  gl_fs_job *j = gl_fs_job_new(L, type, path, NULL, 2, run);
  j->bytes = bytes;
  j->size = size;
  j->flags = flags;
  j->mode = mode;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_write(lua_State *L) { return put(L, &write_type, true, run_write); }
static int fs_append(lua_State *L) { return put(L, &append_type, false, run_append); }

/* ---- copy ---- */

static int copy_file(gl_fs_job *j, int from) {
  gl_fs_replace r;
  mode_t mode = j->st.st_mode & 0777;
  int err = gl_fs_replace_begin(&r, j->to, &mode);
  if (!err) err = gl_fs_copy_bytes(from, r.fd, &j->stop);
  return gl_fs_replace_end(&r, err, false);
}

static void run_copy(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  int from = open_regular(j->path, &j->st);
  if (from == UV_EISDIR && j->flags & GL_FS_RECURSIVE) {
    w->result = gl_fs_copy_tree(j->path, j->to, &j->stop, &j->where);
    return;
  }
  w->result = from < 0 ? from : copy_file(j, from);
  if (from >= 0) close(from);
}

static const gl_optype copy_type = {"fs.copy", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};

static int fs_copy(lua_State *L) {
  const char *from = gl_fs_check_path(L, 1), *to = gl_fs_check_path(L, 2);
  int flags = gl_fs_check_options(L, 3, GL_FS_RECURSIVE, NULL);
  gl_fs_job *j = gl_fs_job_new(L, &copy_type, from, to, 0, run_copy);
  j->flags = flags;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

void gl_fs_add_content(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"read", fs_read}, {"write", fs_write}, {"append", fs_append}, {"copy", fs_copy}, {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
