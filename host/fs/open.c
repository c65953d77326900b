/* SPDX-License-Identifier: MIT
 *
 * Opening files, and making temporary ones. A descriptor or temporary name belongs to the job until a handle takes it: a task that
 * was cancelled meanwhile leaves neither behind.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/class.h"
#include "fs/cleanup.h"
#include "fs/file.h"
#include "fs/replace.h"

#define FOLDER "green.tempdir"

/* ---- on a pool thread ---- */

/* O_NONBLOCK: opening a named pipe must not hold a pool thread until its other end is there. */
static int open_at(gl_fs_job *j, const char *path, int flags) {
  j->cleanup->path = strdup(j->path);
  if (!j->cleanup->path) return UV_ENOMEM;
  j->cleanup->fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  if (j->cleanup->fd < 0) return gl_fs_errno();
  return fstat(j->cleanup->fd, &j->st) == 0 ? 0 : gl_fs_errno();
}

/* Pipes and sockets would hold a thread of the pool for as long as they please. */
static void run_open(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  w->result = open_at(j, j->path, j->flags);
  if (w->result) return;
  if (S_ISDIR(j->st.st_mode)) w->result = UV_EISDIR;
  else if (S_ISFIFO(j->st.st_mode) || S_ISSOCK(j->st.st_mode)) w->result = UV_EINVAL;
}

static bool beneath(const char *path, const char *root) {
  size_t n = strlen(root);
  if (n == 1) return true; /* "/" */
  return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int open_beneath(gl_fs_job *j) {
  char *root = realpath(j->to, NULL), *real = root ? realpath(j->path, NULL) : NULL;
  int err = real ? 0 : gl_fs_errno();
  if (!err) err = beneath(real, root) ? open_at(j, real, O_RDONLY | O_NOFOLLOW) : UV_ENOENT;
  free(root);
  free(real);
  return err;
}

static void run_open_below(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  w->result = j->to ? open_beneath(j) : open_at(j, j->path, O_RDONLY);
}

static int make_temp(gl_fs_job *j, bool folder) {
  int fd = gl_fs_make_temp(j->path, "greenlua-", folder, folder ? 0700 : 0600, &j->cleanup->path);
  if (fd < 0) return fd;
  j->cleanup->disposition = folder ? GL_FS_REMOVE_TREE : GL_FS_REMOVE;
  j->cleanup->fd = folder ? -1 : fd;
  return 0;
}

static void run_temp_file(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  w->result = make_temp(j, false);
  if (!w->result && fstat(j->cleanup->fd, &j->st) != 0) w->result = gl_fs_errno();
}

static void run_temp_dir(gl_work *w) { w->result = make_temp(gl_fs_job_of(w), true); }

/* ---- what they answer ---- */

static int push_open(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_fs_fail(L, op);
  gl_fs_push_file(L, (gl_fs_job *)op);
  return 1;
}

static int push_open_below(lua_State *L, gl_op *op) {
  push_open(L, op);
  gl_fs_push_stat(L, &((gl_fs_job *)op)->st);
  return 2;
}

static int push_temp_dir(lua_State *L, gl_op *op) {
  gl_fs_job *j = (gl_fs_job *)op;
  if (op->status < 0) return gl_fs_fail(L, op);
  gl_fs_cleanup **slot = lua_newuserdatauv(L, sizeof *slot, 1);
  *slot = NULL;
  luaL_setmetatable(L, FOLDER);
  lua_pushstring(L, j->cleanup->path);
  lua_setiuservalue(L, -2, 1);
  *slot = j->cleanup;
  j->cleanup = NULL;
  return 1;
}

static const gl_optype open_type = {"fs.open", push_open, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype open_below_type = {"fs.open", push_open_below, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype temp_file_type = {"fs.temp_file", push_open, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype temp_dir_type = {"fs.temp_dir", push_temp_dir, gl_fs_cancel, gl_fs_free, gl_fs_object};

/* ---- calls ---- */

static int start(lua_State *L, const gl_optype *type, const char *path, const char *to, int flags, void (*run)(gl_work *)) {
  gl_fs_job *j = gl_fs_job_new(L, type, path, to, 0, run);
  j->flags = flags;
  j->cleanup = gl_fs_cleanup_new(j->work.op.host);
  if (!j->cleanup) {
    gl_op_done(&j->work.op, UV_ENOMEM);
    return gl_await(L, &j->work.op, GL_FOREVER);
  }
  j->cleanup->slow = (flags & O_ACCMODE) != O_RDONLY;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

/* Modes are those of fopen, with "b" anywhere after the first letter. */
static int check_flags(lua_State *L, int idx) {
  const char *mode = luaL_optstring(L, idx, "r"), *at = mode + (*mode != '\0');
  int access = *mode == 'r' ? O_RDONLY : O_WRONLY, extra = 0;
  if (*mode == 'w') extra = O_CREAT | O_TRUNC;
  else if (*mode == 'a') extra = O_CREAT | O_APPEND;
  else if (*mode != 'r') at = "?";
  for (; *at; at++) {
    if (*at == '+') access = O_RDWR;
    else if (*at == 'x' && *mode != 'r') extra |= O_EXCL;
    else if (*at != 'b') return luaL_argerror(L, idx, lua_pushfstring(L, "invalid mode '%s'", mode));
  }
  return access | extra;
}

static int fs_open(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1);
  return start(L, &open_type, path, NULL, check_flags(L, 2), run_open);
}

static int fs_open_below(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1);
  const char *root = lua_isnoneornil(L, 2) ? NULL : gl_fs_check_path(L, 2);
  return start(L, &open_below_type, path, root, O_RDONLY, run_open_below);
}

static const char *temp_place(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) return gl_fs_check_path(L, 1);
  const char *dir = getenv("TMPDIR");
  return dir && *dir ? dir : "/tmp";
}

static int fs_temp_file(lua_State *L) { return start(L, &temp_file_type, temp_place(L), NULL, O_RDWR, run_temp_file); }
static int fs_temp_dir(lua_State *L) { return start(L, &temp_dir_type, temp_place(L), NULL, O_RDWR, run_temp_dir); }

/* ---- temporary folders ---- */

static int folder_close(lua_State *L) {
  gl_fs_cleanup **slot = gl_class_self(L, FOLDER);
  return *slot ? gl_fs_cleanup_close(L, slot) : 0;
}

static int folder_gc(lua_State *L) {
  gl_fs_cleanup **slot = gl_class_self(L, FOLDER);
  if (*slot) gl_fs_cleanup_sweep(*slot);
  *slot = NULL;
  return 0;
}

/* The upvalue has the methods; `path` is a field. */
static int folder_index(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  gl_class_self(L, FOLDER);
  if (strcmp(name, "path") == 0) lua_getiuservalue(L, 1, 1);
  else lua_getfield(L, lua_upvalueindex(1), name);
  return 1;
}

static int folder_tostring(lua_State *L) {
  gl_class_self(L, FOLDER);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

void gl_fs_add_open(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__close", folder_close}, {"__gc", folder_gc}, {"__index", folder_index}, {"__tostring", folder_tostring}, {NULL, NULL},
  };
  static const luaL_Reg methods[] = {{"close", folder_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"open", fs_open}, {"open_below", fs_open_below}, {"temp_file", fs_temp_file}, {"temp_dir", fs_temp_dir}, {NULL, NULL},
  };
  gl_class_new(L, FOLDER, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
