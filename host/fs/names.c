/* SPDX-License-Identifier: MIT
 *
 * Names and what the file system knows of them: stat, list, folders, links, modes and times.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/job.h"

static int result_of(int rc) { return rc == 0 ? 0 : gl_fs_errno(); }

/* ---- what they do, on a pool thread ---- */

static void run_stat(gl_work *w) { w->result = result_of(stat(gl_fs_job_of(w)->path, &gl_fs_job_of(w)->st)); }
static void run_lstat(gl_work *w) { w->result = result_of(lstat(gl_fs_job_of(w)->path, &gl_fs_job_of(w)->st)); }
static void run_rename(gl_work *w) { w->result = result_of(rename(gl_fs_job_of(w)->path, gl_fs_job_of(w)->to)); }
static void run_link(gl_work *w) { w->result = result_of(link(gl_fs_job_of(w)->path, gl_fs_job_of(w)->to)); }
static void run_symlink(gl_work *w) { w->result = result_of(symlink(gl_fs_job_of(w)->path, gl_fs_job_of(w)->to)); }
static void run_chmod(gl_work *w) { w->result = result_of(chmod(gl_fs_job_of(w)->path, gl_fs_job_of(w)->mode)); }

static void run_realpath(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  j->data = realpath(j->path, NULL);
  w->result = j->data ? 0 : gl_fs_errno();
}

static void run_readlink(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  char target[PATH_MAX];
  ssize_t n = readlink(j->path, target, sizeof target);
  if (n < 0) w->result = gl_fs_errno();
  else if (!(j->data = strndup(target, (size_t)n))) w->result = UV_ENOMEM;
}

static int is_entry(const struct dirent *e) { return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0; }
static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Finds the types of entries on file systems that keep none beside the names. */
static void find_types(gl_fs_job *j) {
  int dir = -1;
  for (int i = 0; i < j->count; i++) {
    struct stat st;
    if (j->entries[i]->d_type != DT_UNKNOWN) continue;
    if (dir < 0 && (dir = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) return;
    if (fstatat(dir, j->entries[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
      j->entries[i]->d_type = (unsigned char)IFTODT(st.st_mode);
  }
  if (dir >= 0) close(dir);
}

static void run_list(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  int n = scandir(j->path, &j->entries, is_entry, by_name);
  if (n < 0) {
    w->result = gl_fs_errno();
    return;
  }
  j->count = n;
  find_types(j);
}

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int make_parents(char *path) {
  for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
    *slash = '\0';
    int err = result_of(mkdir(path, 0777));
    if (err && !is_folder(path)) {
      *slash = '/';
      return err == UV_EEXIST ? UV_ENOTDIR : err;
    }
  }
  return 0;
}

static void run_mkdir(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  bool parents = j->flags & GL_FS_PARENTS;
  gl_fs_trim(j->path);
  int err = parents ? make_parents(j->path) : 0;
  if (!err) err = result_of(mkdir(j->path, 0777));
  if (err == UV_EEXIST && parents && is_folder(j->path)) return; /* the folder stays as it is, its mode included */
  if (!err && j->flags & GL_FS_MODE) err = result_of(chmod(j->path, j->mode));
  w->result = err;
}

static void run_utime(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  w->result = result_of(utimensat(AT_FDCWD, j->path, j->times, 0));
}

static void run_touch(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  run_utime(w);
  if (w->result != UV_ENOENT) return;
  int fd = open(j->path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  w->result = fd < 0 ? gl_fs_errno() : result_of(futimens(fd, j->times));
  if (fd >= 0) close(fd);
}

/* ---- what they answer ---- */

static int push_stat(lua_State *L, gl_op *op) {
  if (op->status == UV_ENOENT || op->status == UV_ENOTDIR) {
    lua_pushnil(L);
    return 1;
  }
  if (op->status < 0) return gl_fs_fail(L, op);
  gl_fs_push_stat(L, &((gl_fs_job *)op)->st);
  return 1;
}

static int push_text(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_fs_fail(L, op);
  lua_pushstring(L, ((gl_fs_job *)op)->data);
  return 1;
}

static const char *entry_type(unsigned char type) {
  switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "directory";
    case DT_LNK: return "link";
    case DT_FIFO: return "fifo";
    case DT_SOCK: return "socket";
    case DT_CHR: return "char";
    case DT_BLK: return "block";
    default: return "unknown";
  }
}

static int push_list(lua_State *L, gl_op *op) {
  gl_fs_job *j = (gl_fs_job *)op;
  if (op->status < 0) return gl_fs_fail(L, op);
  lua_createtable(L, j->count, 0);
  for (int i = 0; i < j->count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, j->entries[i]->d_name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, entry_type(j->entries[i]->d_type));
    lua_setfield(L, -2, "type");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static const gl_optype stat_type = {"fs.stat", push_stat, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype lstat_type = {"fs.lstat", push_stat, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype realpath_type = {"fs.realpath", push_text, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype readlink_type = {"fs.readlink", push_text, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype list_type = {"fs.list", push_list, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype rename_type = {"fs.rename", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype link_type = {"fs.link", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype symlink_type = {"fs.symlink", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype chmod_type = {"fs.chmod", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype mkdir_type = {"fs.mkdir", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype utime_type = {"fs.utime", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};
static const gl_optype touch_type = {"fs.touch", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};

/* ---- calls ---- */

static int with_path(lua_State *L, const gl_optype *type, void (*run)(gl_work *)) {
  gl_fs_job *j = gl_fs_job_new(L, type, gl_fs_check_path(L, 1), NULL, 0, run);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int with_paths(lua_State *L, const gl_optype *type, void (*run)(gl_work *)) {
  const char *path = gl_fs_check_path(L, 1), *to = gl_fs_check_path(L, 2);
  gl_fs_job *j = gl_fs_job_new(L, type, path, to, 0, run);
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_stat(lua_State *L) { return with_path(L, &stat_type, run_stat); }
static int fs_lstat(lua_State *L) { return with_path(L, &lstat_type, run_lstat); }
static int fs_realpath(lua_State *L) { return with_path(L, &realpath_type, run_realpath); }
static int fs_readlink(lua_State *L) { return with_path(L, &readlink_type, run_readlink); }
static int fs_list(lua_State *L) { return with_path(L, &list_type, run_list); }
static int fs_rename(lua_State *L) { return with_paths(L, &rename_type, run_rename); }
static int fs_link(lua_State *L) { return with_paths(L, &link_type, run_link); }
static int fs_symlink(lua_State *L) { return with_paths(L, &symlink_type, run_symlink); }

static int fs_chmod(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1);
  mode_t mode = gl_fs_check_mode(L, 2);
  gl_fs_job *j = gl_fs_job_new(L, &chmod_type, path, NULL, 0, run_chmod);
  j->mode = mode;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_mkdir(lua_State *L) {
  mode_t mode = 0;
  const char *path = gl_fs_check_path(L, 1);
  int flags = gl_fs_check_options(L, 2, GL_FS_PARENTS | GL_FS_MODE, &mode);
  gl_fs_job *j = gl_fs_job_new(L, &mkdir_type, path, NULL, 0, run_mkdir);
  j->flags = flags;
  j->mode = mode;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

/* Returns the time at idx, in seconds since 1970; now when it is absent. */
static struct timespec check_time(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return (struct timespec){.tv_nsec = UTIME_NOW};
  double seconds = luaL_checknumber(L, idx), whole = floor(seconds);
  luaL_argcheck(L, fabs(seconds) < 1e15, idx, "a time in seconds since 1970 expected");
  long ns = lround((seconds - whole) * 1e9);
  return (struct timespec){(time_t)whole, ns < 1000000000 ? ns : 999999999};
}

static int set_times(lua_State *L, const gl_optype *type, int access, int modified, void (*run)(gl_work *)) {
  const char *path = gl_fs_check_path(L, 1);
  struct timespec a = check_time(L, access), m = check_time(L, modified);
  gl_fs_job *j = gl_fs_job_new(L, type, path, NULL, 0, run);
  j->times[0] = a;
  j->times[1] = m;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

static int fs_utime(lua_State *L) { return set_times(L, &utime_type, 2, 3, run_utime); }
static int fs_touch(lua_State *L) { return set_times(L, &touch_type, 2, 2, run_touch); }

static int fs_cwd(lua_State *L) {
  char path[PATH_MAX];
  if (!getcwd(path, sizeof path)) return gl_error_status(L, "fs.absolute", gl_fs_errno(), NULL);
  lua_pushstring(L, path);
  return 1;
}

void gl_fs_add_names(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"stat", fs_stat},         {"lstat", fs_lstat},   {"realpath", fs_realpath}, {"readlink", fs_readlink},
    {"list", fs_list},         {"rename", fs_rename}, {"link", fs_link},         {"symlink", fs_symlink},
    {"chmod", fs_chmod},       {"mkdir", fs_mkdir},   {"utime", fs_utime},       {"touch", fs_touch},
    {"cwd", fs_cwd},           {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
