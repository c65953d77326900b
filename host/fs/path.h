/* SPDX-License-Identifier: MIT
 *
 * Where a walk through a tree stands: the path, for the error message, and the depth. A name is popped only when its part went
 * well, so that after an error the path says where that was.
 */
#ifndef GL_FS_PATH_H
#define GL_FS_PATH_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <uv.h>

#define GL_FS_DEPTH 256 /* folders below each other: each holds a descriptor */

typedef struct gl_fs_path {
  const atomic_bool *stop; /* the walk ends when this is true; may be NULL */
  int depth;
  size_t len;
  char text[PATH_MAX];
} gl_fs_path;

/* Steps down to `name`. Returns 0, UV_ELOOP when that is too deep, UV_ECANCELED when stopped. */
static inline int gl_fs_path_push(gl_fs_path *t, const char *name) {
  size_t n = strlen(name);
  if (t->stop && atomic_load(t->stop)) return UV_ECANCELED;
  if (++t->depth > GL_FS_DEPTH || t->len + n + 2 > sizeof t->text) return UV_ELOOP;
  if (t->len && t->text[t->len - 1] != '/') t->text[t->len++] = '/';
  memcpy(t->text + t->len, name, n + 1);
  t->len += n;
  return 0;
}

/* Steps back to the path as it was when it was `len` bytes long. */
static inline void gl_fs_path_pop(gl_fs_path *t, size_t len) {
  t->depth--;
  t->len = len;
  t->text[len] = '\0';
}

static inline bool gl_fs_is_dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

#endif
