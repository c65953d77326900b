/* SPDX-License-Identifier: MIT
 *
 * An open file as rooms see it that do not know green.fs: a descriptor that several may read at once, each at places of its own. On the loop's
 * thread, but for `fd`, which a job on the thread pool may read while the job holds a reference.
 */
#ifndef GL_CORE_OPEN_FILE_H
#define GL_CORE_OPEN_FILE_H

#include <stdint.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/error.h"

typedef struct gl_open_file {
  int fd;   /* readable with pread(2), if the file can be read at all; -1: closed */
  int refs;
  void (*release)(struct gl_open_file *f); /* the last reference is gone: closes the descriptor, and frees the struct */
} gl_open_file;

/* The class of handles for scripts. Such a userdata holds a pointer to a gl_open_file, NULL if it was closed while others had
 * references; its first user value is the path. */
#define GL_OPEN_FILE "green.file"

static inline gl_open_file *gl_open_file_ref(gl_open_file *f) {
  f->refs++;
  return f;
}

static inline void gl_open_file_unref(gl_open_file *f) {
  if (--f->refs == 0) f->release(f);
}

/* Returns the open file of the handle at `idx`. Raises EBADF, in the name of `op`, if the handle is closed, and on anything else. */
static inline gl_open_file *gl_open_file_check(lua_State *L, int idx, const char *op) {
  gl_open_file *f = *(gl_open_file **)luaL_checkudata(L, idx, GL_OPEN_FILE);
  if (!f || f->fd < 0) gl_error_raise(L, op, "EBADF", "the file is closed");
  return f;
}

/* Reads the arguments of a part of a file: the offset at `idx`, and the number of bytes behind it. */
static inline void gl_open_file_check_part(lua_State *L, int idx, uint64_t *at, uint64_t *n) {
  lua_Integer offset = luaL_checkinteger(L, idx), count = luaL_checkinteger(L, idx + 1);
  luaL_argcheck(L, offset >= 0, idx, "an offset >= 0 expected");
  luaL_argcheck(L, count > 0, idx + 1, "a number > 0 expected");
  *at = (uint64_t)offset;
  *n = (uint64_t)count;
}

/* Raises, in the name of `op`, why the file whose handle is registry[ref] was not sent to its end: UV_EOF, it has become shorter, or another UV_E*.
 * Never returns. */
static inline int gl_open_file_raise(lua_State *L, const char *op, int ref, int status) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_getiuservalue(L, -1, 1);
  const char *path = lua_tostring(L, -1);
  if (status == UV_EOF) return gl_error_raise(L, op, "EIO", "%s: the file became shorter while it was sent", path);
  return gl_error_status(L, op, status, path);
}

#endif
