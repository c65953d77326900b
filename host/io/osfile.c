/* SPDX-License-Identifier: MIT */
#include "io/osfile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/work.h"
#include "io/stdio.h"

typedef struct path_op {
  gl_work work;
  const char *to; /* the new name of a rename: in `path`, behind the old one */
  char path[];
} path_op;

/* ---- on the pool, or at once ---- */

static int do_remove(const char *path) { return remove(path) == 0 ? 0 : -errno; }
static int do_rename(const char *from, const char *to) { return rename(from, to) == 0 ? 0 : -errno; }

static int do_tmpname(char *path) {
  int fd = mkstemp(path);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

static path_op *op_of(gl_work *w) { return (path_op *)w; }
static void run_remove(gl_work *w) { w->result = do_remove(op_of(w)->path); }
static void run_rename(gl_work *w) { w->result = do_rename(op_of(w)->path, op_of(w)->to); }
static void run_tmpname(gl_work *w) { w->result = do_tmpname(op_of(w)->path); }

/* ---- results ---- */

static int result(lua_State *L, int status, const char *name) {
  if (status < 0) return gl_stdio_fail(L, status, name);
  lua_pushboolean(L, 1);
  return 1;
}

static int name_or_error(lua_State *L, int status, const char *path) {
  if (status < 0) return luaL_error(L, "unable to generate a unique filename");
  lua_pushstring(L, path);
  return 1;
}

static int push_remove(lua_State *L, gl_op *op) { return result(L, op->status, ((path_op *)op)->path); }
static int push_rename(lua_State *L, gl_op *op) { return result(L, op->status, NULL); }
static int push_tmpname(lua_State *L, gl_op *op) { return name_or_error(L, op->status, ((path_op *)op)->path); }

static void object_path(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const path_op *)op)->path); }

static const gl_optype remove_type = {"os.remove", push_remove, gl_work_cancel, NULL, object_path};
static const gl_optype rename_type = {"os.rename", push_rename, gl_work_cancel, NULL, object_path};
static const gl_optype tmpname_type = {"os.tmpname", push_tmpname, gl_work_cancel, NULL, object_path};

/* ---- calls ---- */

static path_op *new_op(lua_State *L, const gl_optype *type, const char *path, const char *to, void (*run)(gl_work *)) {
  size_t n = strlen(path) + 1, m = strlen(to) + 1;
  path_op *p = gl_op_new(L, type, sizeof *p + n + m, 0);
  memcpy(p->path, path, n);
  p->to = memcpy(p->path + n, to, m);
  p->work.run = run;
  return p;
}

/* The kernel would refuse it, and an op has no room for it. */
static bool is_too_long(const char *path) { return strlen(path) >= PATH_MAX; }

static int os_remove(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (is_too_long(path)) return result(L, UV_ENAMETOOLONG, path);
  if (!gl_may_wait(L)) return result(L, do_remove(path), path);
  return gl_work_await(L, &new_op(L, &remove_type, path, "", run_remove)->work, GL_FOREVER);
}

static int os_rename(lua_State *L) {
  const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
  if (is_too_long(from) || is_too_long(to)) return result(L, UV_ENAMETOOLONG, NULL);
  if (!gl_may_wait(L)) return result(L, do_rename(from, to), NULL);
  return gl_work_await(L, &new_op(L, &rename_type, from, to, run_rename)->work, GL_FOREVER);
}

static int os_tmpname(lua_State *L) {
  char path[] = "/tmp/lua_XXXXXX";
  if (!gl_may_wait(L)) return name_or_error(L, do_tmpname(path), path);
  return gl_work_await(L, &new_op(L, &tmpname_type, path, "", run_tmpname)->work, GL_FOREVER);
}

void gl_install_osfile(lua_State *L) {
  static const luaL_Reg functions[] = {{"remove", os_remove}, {"rename", os_rename}, {"tmpname", os_tmpname}, {NULL, NULL}};
  lua_getglobal(L, "os");
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
