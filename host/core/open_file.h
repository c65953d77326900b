/* SPDX-License-Identifier: MIT
 *
 * An open file as rooms see it that do not know green.fs: a descriptor that several may read at once, each at places of its own. On the loop's
 * thread, but for `fd`, which a job on the thread pool may read while the job holds a reference.
 */
#ifndef GL_CORE_OPEN_FILE_H
#define GL_CORE_OPEN_FILE_H

#include <lauxlib.h>

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

#endif
