/* SPDX-License-Identifier: MIT
 *
 * Files. Each call is one job on the pool, however many system calls it takes: opening resolves, checks,
 * opens and stats in one hop. A file is referenced by its handle and by the reads under way; the last of
 * them closes the descriptor, so a number is never reused under a read that was cancelled.
 */
#include "sys/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/work.h"

#define FILE_HANDLE "green.file"
#define READ_MAX (64 * 1024 * 1024) /* fs.read without a limit of its own */
#define STEP (64 * 1024)

typedef struct fs_file {
  gl_host *host;
  uv_file fd;
  int refs;
} fs_file;

/* One job for all of them: which members are used is the business of its `run`. */
typedef struct fs_job {
  gl_work work;
  fs_file *file;  /* read_at: referenced */
  uv_fs_t req;    /* what stat, realpath and scandir answer */
  uv_file fd;     /* open: until the handle takes it; -1 = none */
  char *data;     /* bytes read */
  size_t len;     /* how many those are */
  size_t max;     /* how many are wanted or allowed */
  int64_t offset; /* read_at: from here */
  const char *root; /* open: where the path must stay; NULL = anywhere */
  char path[];    /* owned copy, then that of root */
} fs_job;

/* ---- jobs: on a pool thread ---- */

static fs_job *job_of(gl_work *w) { return (fs_job *)w; }

static void run_stat(gl_work *w) { w->result = uv_fs_stat(NULL, &job_of(w)->req, job_of(w)->path, NULL); }

static void run_realpath(gl_work *w) { w->result = uv_fs_realpath(NULL, &job_of(w)->req, job_of(w)->path, NULL); }

static void run_scandir(gl_work *w) {
  int n = uv_fs_scandir(NULL, &job_of(w)->req, job_of(w)->path, 0, NULL);
  w->result = n < 0 ? n : 0;
}

static void close_fd(uv_file fd) {
  uv_fs_t req;
  uv_fs_close(NULL, &req, fd, NULL);
  uv_fs_req_cleanup(&req);
}

/* O_NONBLOCK: opening a named pipe must not hold a pool thread until somebody writes to it. */
static int open_fd(fs_job *j, const char *path, int flags) {
  uv_fs_t req;
  j->fd = uv_fs_open(NULL, &req, path, O_RDONLY | O_NONBLOCK | flags, 0, NULL);
  uv_fs_req_cleanup(&req);
  if (j->fd < 0) return j->fd;
  return uv_fs_fstat(NULL, &j->req, j->fd, NULL);
}

static bool beneath(const char *path, const char *root) {
  size_t n = strlen(root);
  if (n == 1) return true; /* "/" */
  return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int open_beneath(fs_job *j) {
  uv_fs_t root, real;
  int err = uv_fs_realpath(NULL, &root, j->root, NULL);
  if (!err) {
    err = uv_fs_realpath(NULL, &real, j->path, NULL);
    if (!err) err = beneath(real.ptr, root.ptr) ? open_fd(j, real.ptr, O_NOFOLLOW) : UV_ENOENT;
    uv_fs_req_cleanup(&real);
  }
  uv_fs_req_cleanup(&root);
  return err;
}

static void run_open(gl_work *w) {
  fs_job *j = job_of(w);
  w->result = j->root ? open_beneath(j) : open_fd(j, j->path, 0);
}

/* Up to `n` more bytes into data; 0 = done or end of file. */
static int read_step(fs_job *j, uv_file fd, int64_t offset, size_t n) {
  uv_fs_t req;
  uv_buf_t buf = uv_buf_init(j->data + j->len, (unsigned)n);
  int got = uv_fs_read(NULL, &req, fd, &buf, 1, offset, NULL);
  uv_fs_req_cleanup(&req);
  if (got > 0) j->len += (size_t)got;
  return got;
}

static void run_read_at(gl_work *w) {
  fs_job *j = job_of(w);
  int got = 1;
  while (got > 0 && j->len < j->max) got = read_step(j, j->file->fd, j->offset + (int64_t)j->len, j->max - j->len);
  w->result = got < 0 ? got : 0;
}

/* Until the end and not just for st_size bytes: files in /proc say 0, others grow. */
static int read_all(fs_job *j) {
  size_t cap = (size_t)j->req.statbuf.st_size + 1;
  for (int got = 1; got > 0;) {
    if (j->len == cap) cap += cap < STEP ? STEP : cap;
    if (cap > j->max + 1) cap = j->max + 1;
    char *data = realloc(j->data, cap);
    if (!data) return UV_ENOMEM;
    j->data = data;
    got = read_step(j, j->fd, -1, cap - j->len < STEP * 16 ? cap - j->len : STEP * 16);
    if (got < 0) return got;
    if (j->len > j->max) return UV_EFBIG;
  }
  return 0;
}

static void run_read(gl_work *w) {
  fs_job *j = job_of(w);
  int err = open_fd(j, j->path, 0);
  uint64_t mode = j->req.statbuf.st_mode;
  if (!err && !S_ISREG(mode)) err = S_ISDIR(mode) ? UV_EISDIR : UV_EINVAL;
  if (!err && j->req.statbuf.st_size > j->max) err = UV_EFBIG;
  w->result = err ? err : read_all(j);
}

/* ---- what they answer ---- */

static void file_unref(fs_file *f) {
  if (--f->refs > 0) return;
  close_fd(f->fd); /* nothing was written: there is nothing to flush and so nothing to wait for */
  f->host->census.handles--;
  free(f);
}

static void free_job(gl_op *op) {
  fs_job *j = (fs_job *)op;
  uv_fs_req_cleanup(&j->req);
  if (j->fd >= 0) close_fd(j->fd);
  if (j->file) file_unref(j->file);
  free(j->data);
}

static int fail(lua_State *L, gl_op *op) {
  fs_job *j = (fs_job *)op;
  if (op->status == UV_EFBIG)
    return gl_error_raise(L, op->type->name, "EFBIG", "%s: larger than %I bytes", j->path, (LUAI_UACINT)j->max);
  return gl_error_status(L, op->type->name, op->status, *j->path ? j->path : NULL);
}

static const char *type_name(uint64_t mode) {
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

static void push_statbuf(lua_State *L, const uv_stat_t *st) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, (lua_Integer)st->st_size);
  lua_setfield(L, -2, "size");
  lua_pushnumber(L, (double)st->st_mtim.tv_sec + (double)st->st_mtim.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  lua_pushinteger(L, (lua_Integer)(st->st_mode & 07777));
  lua_setfield(L, -2, "mode");
}

static int push_stat(lua_State *L, gl_op *op) {
  if (op->status == UV_ENOENT || op->status == UV_ENOTDIR) {
    lua_pushnil(L);
    return 1;
  }
  if (op->status < 0) return fail(L, op);
  push_statbuf(L, &((fs_job *)op)->req.statbuf);
  return 1;
}

static int push_realpath(lua_State *L, gl_op *op) {
  if (op->status < 0) return fail(L, op);
  lua_pushstring(L, ((fs_job *)op)->req.ptr);
  return 1;
}

static int push_scandir(lua_State *L, gl_op *op) {
  static const char *const names[] = {"unknown", "file", "directory", "link", "fifo", "socket", "char", "block"};
  uv_dirent_t entry;
  if (op->status < 0) return fail(L, op);
  lua_newtable(L);
  for (lua_Integer i = 1; uv_fs_scandir_next(&((fs_job *)op)->req, &entry) == 0; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, entry.name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, names[entry.type]);
    lua_setfield(L, -2, "type");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int push_bytes(lua_State *L, gl_op *op) {
  fs_job *j = (fs_job *)op;
  if (op->status < 0) return fail(L, op);
  if (j->file && !j->len) lua_pushnil(L); /* a read at the end */
  else lua_pushlstring(L, j->data ? j->data : "", j->len);
  return 1;
}

static int push_open(lua_State *L, gl_op *op) {
  fs_job *j = (fs_job *)op;
  if (op->status < 0) return fail(L, op);
  fs_file **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, FILE_HANDLE);
  fs_file *f = malloc(sizeof *f);
  if (!f) return luaL_error(L, "not enough memory for a file");
  *f = (fs_file){op->host, j->fd, 1};
  j->fd = -1;
  *handle = f;
  f->host->census.handles++;
  push_statbuf(L, &j->req.statbuf);
  return 2;
}

static const gl_optype stat_type = {"fs.stat", push_stat, gl_work_cancel, free_job};
static const gl_optype realpath_type = {"fs.realpath", push_realpath, gl_work_cancel, free_job};
static const gl_optype scandir_type = {"fs.list", push_scandir, gl_work_cancel, free_job};
static const gl_optype read_type = {"fs.read", push_bytes, gl_work_cancel, free_job};
static const gl_optype open_type = {"fs.open", push_open, gl_work_cancel, free_job};
static const gl_optype read_at_type = {"file.read", push_bytes, gl_work_cancel, free_job};

/* ---- calls ---- */

static const char *check_path(lua_State *L, int idx) {
  size_t len;
  const char *path = luaL_checklstring(L, idx, &len);
  luaL_argcheck(L, len > 0 && strlen(path) == len, idx, "a path without NUL bytes expected");
  return path;
}

static fs_job *new_job(lua_State *L, const gl_optype *type, const char *path, const char *root, void (*run)(gl_work *)) {
  size_t n = strlen(path) + 1, m = root ? strlen(root) + 1 : 0;
  fs_job *j = gl_op_new(L, type, sizeof *j + n + m, 0);
  memcpy(j->path, path, n);
  if (root) j->root = memcpy(j->path + n, root, m);
  j->fd = -1;
  j->work.run = run;
  return j;
}

static int fs_stat(lua_State *L) {
  fs_job *j = new_job(L, &stat_type, check_path(L, 1), NULL, run_stat);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_realpath(lua_State *L) {
  fs_job *j = new_job(L, &realpath_type, check_path(L, 1), NULL, run_realpath);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_scandir(lua_State *L) {
  fs_job *j = new_job(L, &scandir_type, check_path(L, 1), NULL, run_scandir);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_read(lua_State *L) {
  const char *path = check_path(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, READ_MAX);
  luaL_argcheck(L, max >= 0 && max < LUA_MAXINTEGER / 4, 2, "a number of bytes >= 0 expected");
  fs_job *j = new_job(L, &read_type, path, NULL, run_read);
  j->max = (size_t)max;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_open(lua_State *L) {
  const char *path = check_path(L, 1);
  const char *root = lua_isnoneornil(L, 2) ? NULL : check_path(L, 2);
  fs_job *j = new_job(L, &open_type, path, root, run_open);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int file_read(lua_State *L) {
  fs_file *f = *(fs_file **)luaL_checkudata(L, 1, FILE_HANDLE);
  lua_Integer offset = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, offset >= 0, 2, "an offset >= 0 expected");
  luaL_argcheck(L, n > 0 && n <= READ_MAX, 3, "1 to 67108864 bytes expected");
  if (!f) return gl_error_raise(L, "file.read", "EBADF", "the file is closed");
  fs_job *j = new_job(L, &read_at_type, "", NULL, run_read_at);
  j->file = f;
  f->refs++;
  j->offset = offset;
  j->max = (size_t)n;
  j->data = malloc(j->max);
  if (j->data) return gl_work_await(L, &j->work, GL_FOREVER);
  gl_op_done(&j->work.op, UV_ENOMEM);
  return gl_await(L, &j->work.op, GL_FOREVER);
}

static int file_close(lua_State *L) {
  fs_file **handle = luaL_checkudata(L, 1, FILE_HANDLE);
  fs_file *f = *handle;
  *handle = NULL;
  if (f) file_unref(f);
  return 0;
}

static int file_tostring(lua_State *L) {
  fs_file *f = *(fs_file **)luaL_checkudata(L, 1, FILE_HANDLE);
  if (f) lua_pushfstring(L, "file (%p)", (void *)f);
  else lua_pushliteral(L, "file (closed)");
  return 1;
}

int gl_open_fs(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", file_read}, {"close", file_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
    {"__gc", file_close}, {"__close", file_close}, {"__tostring", file_tostring}, {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
    {"stat", fs_stat}, {"realpath", fs_realpath}, {"scandir", fs_scandir}, {"read", fs_read}, {"open", fs_open}, {NULL, NULL},
  };
  luaL_newmetatable(L, FILE_HANDLE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
