/* SPDX-License-Identifier: MIT
 *
 * What has to be cleaned up when a handle goes: a descriptor to close, a temporary file or folder to remove. It is
 * done on the pool; the task waits for it where it may (not when it was cancelled, not in a finalizer), and in the
 * background elsewhere, so that nothing stays behind on any way out.
 */
#ifndef GL_FS_CLEANUP_H
#define GL_FS_CLEANUP_H

#include "core/host.h"

typedef enum gl_fs_disposition { GL_FS_KEEP, GL_FS_REMOVE, GL_FS_REMOVE_TREE } gl_fs_disposition;

typedef struct gl_fs_cleanup {
  uv_work_t req;
  gl_host *host;
  uint32_t process; /* the one that made it (gl_host.process): a forked child removes nothing of its parent's */
  int fd;       /* -1 = none */
  char *path;   /* malloc; NULL = none */
  gl_fs_disposition fate;
  bool slow;    /* closing or removing may take its time: not on the loop */
} gl_fs_cleanup;

/* Nothing to clean up yet; counts as a handle of the census. NULL: out of memory. */
gl_fs_cleanup *gl_fs_cleanup_new(gl_host *h);

/* Cleans up in the background, and frees it. Calls no Lua. */
void gl_fs_cleanup_sweep(gl_fs_cleanup *r);

/* The same for a handle that is closed by name or by <close>: sets *slot to NULL and waits where that is possible.
 * Raises what close(2) says, in the name of `op`. Use as `return gl_fs_cleanup_close(...)`. */
int gl_fs_cleanup_close(lua_State *L, gl_fs_cleanup **slot);

#endif
