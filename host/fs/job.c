/* SPDX-License-Identifier: MIT */
#include "fs/job.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/args.h"
#include "core/args.h"
#include "core/memory.h"
#include "fs/cleanup.h"

#define QUOTED 80 /* bytes of a path that is too long */

/* Raises what the kernel would answer, and quotes the beginning of such a path only. */
static void refuse_length(lua_State *L, const gl_optype *type, const char *path) {
  lua_pushlstring(L, path, QUOTED);
  gl_error_status(L, type->name, UV_ENAMETOOLONG, lua_pushfstring(L, "%s...", lua_tostring(L, -1)));
}

gl_fs_job *gl_fs_job_new(lua_State *L, const gl_optype *type, const char *path, const char *to, int pin_idx,
                         void (*run)(gl_work *)) {
  size_t n = strlen(path) + 1, m = to ? strlen(to) + 1 : 0;
  if (n > PATH_MAX) refuse_length(L, type, path);
  if (m > PATH_MAX) refuse_length(L, type, to);
  gl_fs_job *j = gl_op_new(L, type, sizeof *j + n + m, pin_idx);
  memcpy(j->path, path, n);
  if (to) j->to = memcpy(j->path + n, to, m);
  j->work.run = run;
  return j;
}

void gl_fs_cancel(gl_op *op) {
  atomic_store(&((gl_fs_job *)op)->stop, true);
  gl_work_cancel(op);
}

static void drop_cleanup(gl_fs_job *j) {
  if (j->cleanup) gl_fs_cleanup_sweep(j->cleanup);
  j->cleanup = NULL;
}

void gl_fs_free(gl_op *op) {
  gl_fs_job *j = (gl_fs_job *)op;
  for (int i = 0; i < j->count; i++) free(j->entries[i]);
  free(j->entries);
  if (j->cap) gl_memory_resize(j->data, j->cap, 0);
  else free(j->data);
  free(j->where);
  drop_cleanup(j);
}

int gl_fs_fail(lua_State *L, gl_op *op) {
  gl_fs_job *j = (gl_fs_job *)op;
  drop_cleanup(j); /* now: an op whose push raised is freed with the task's next one */
  const char *subject = j->where ? j->where : j->path;
  if (op->status == UV_EFBIG && j->max)
    return gl_error_raise(L, op->type->name, "EFBIG", "%s: larger than %I bytes", subject, (LUAI_UACINT)j->max);
  if (j->to && !j->where) subject = lua_pushfstring(L, "%s -> %s", j->path, j->to);
  return gl_error_status(L, op->type->name, op->status, subject);
}

void gl_fs_object(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const gl_fs_job *)op)->path); }

int gl_fs_push_nothing(lua_State *L, gl_op *op) { return op->status < 0 ? gl_fs_fail(L, op) : 0; }

/* ---- arguments ---- */

const char *gl_fs_check_path(lua_State *L, int idx) {
  size_t len;
  const char *path = luaL_checklstring(L, idx, &len);
  luaL_argcheck(L, len > 0 && strlen(path) == len, idx, "a path without NUL bytes expected");
  return path;
}

mode_t gl_fs_check_mode(lua_State *L, int idx) {
  lua_Integer mode = gl_args_permissions(L, idx);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, idx, "permission bits expected: an integer or octal digits (\"644\")");
  return (mode_t)mode;
}

static const struct {
  const char *name;
  int flag;
} options[] = {
  {"mode", GL_FS_MODE}, {"sync", GL_FS_SYNC}, {"recursive", GL_FS_RECURSIVE}, {"parents", GL_FS_PARENTS},
};
#define OPTIONS (sizeof options / sizeof *options)

static void check_names(lua_State *L, int idx, int allowed) {
  const char *names[OPTIONS + 1] = {NULL};
  int n = 0;
  for (size_t i = 0; i < OPTIONS; i++)
    if (options[i].flag & allowed) names[n++] = options[i].name;
  gl_args_check_names(L, idx, names);
}

int gl_fs_check_options(lua_State *L, int idx, int allowed, mode_t *mode) {
  int set = 0;
  check_names(L, idx, allowed);
  for (size_t i = 0; i < OPTIONS; i++) {
    int flag = options[i].flag & allowed;
    if (flag == GL_FS_MODE) {
      lua_Integer bits = gl_args_mode(L, idx, 0, 07777);
      if (bits < 0) continue;
      *mode = (mode_t)bits;
      set |= flag;
    } else if (flag && gl_args_bool(L, idx, options[i].name, false)) {
      set |= flag;
    }
  }
  return set;
}

/* ---- results ---- */

static const char *type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "link";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "char";
    case S_IFBLK: return "block";
    default: return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, struct timespec t) {
  lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

void gl_fs_push_stat(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 11);
  lua_pushstring(L, type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", (lua_Integer)st->st_size);
  set_integer(L, "mode", (lua_Integer)(st->st_mode & 07777));
  set_integer(L, "uid", (lua_Integer)st->st_uid);
  set_integer(L, "gid", (lua_Integer)st->st_gid);
  set_integer(L, "device", (lua_Integer)st->st_dev);
  set_integer(L, "inode", (lua_Integer)st->st_ino);
  set_integer(L, "links", (lua_Integer)st->st_nlink);
  set_time(L, "mtime", st->st_mtim);
  set_time(L, "atime", st->st_atim);
  set_time(L, "ctime", st->st_ctim);
}

/* ---- on a pool thread ---- */

int gl_fs_write_all(int fd, const char *bytes, size_t n, int64_t offset, const atomic_bool *stop, size_t *written) {
  size_t done = 0;
  int err = 0;
  while (done < n && !err) {
    size_t step = n - done < GL_FS_STEP ? n - done : GL_FS_STEP;
    if (atomic_load(stop)) {
      err = UV_ECANCELED;
      break;
    }
    ssize_t got = offset < 0 ? write(fd, bytes + done, step) : pwrite(fd, bytes + done, step, offset + (int64_t)done);
    if (got > 0) done += (size_t)got;
    else if (got == 0) err = UV_EIO;
    else if (errno != EINTR) err = gl_fs_errno();
  }
  if (written) *written = done;
  return err;
}

void gl_fs_trim(char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') path[--n] = '\0';
}
