/* SPDX-License-Identifier: MIT
 *
 * What has to be cleaned up when a handle goes: a descriptor to close, a temporary file or folder to remove. The thread pool does
 * the work; the task waits for it where a task may (not when it was cancelled, not in a finalizer), and elsewhere it goes on in
 * the background, so that nothing stays behind on any way out.
 */
#ifndef GL_FS_CLEANUP_H
#define GL_FS_CLEANUP_H

#include "core/host.h"

typedef enum gl_fs_disposition { GL_FS_KEEP, GL_FS_REMOVE, GL_FS_REMOVE_TREE } gl_fs_disposition;

typedef struct gl_fs_cleanup {
  uv_work_t req;
  gl_host *host;
  uint32_t process; /* the one that made it (gl_host.process): a forked child removes nothing of its parent's */
  int fd;       /* to be closed; -1 = none */
  char *path;   /* what to remove, and for error messages; malloc; NULL = none */
  gl_fs_disposition disposition;
  bool slow;    /* closing or removing may take its time: not on the loop */
} gl_fs_cleanup;

/* Makes one with nothing to clean up yet, which counts as a handle of the census. Returns NULL when memory is out. */
gl_fs_cleanup *gl_fs_cleanup_new(gl_host *h);

/* Cleans up in the background, and frees it. Calls no Lua. */
void gl_fs_cleanup_sweep(gl_fs_cleanup *r);

/* The same for a handle that is closed by name or by <close>: sets *slot to NULL and waits where that is possible.
 * Raises what close(2) says, in the name of `op`. Use as `return gl_fs_cleanup_close(...)`. */
int gl_fs_cleanup_close(lua_State *L, gl_fs_cleanup **slot);

#endif
