/* SPDX-License-Identifier: MIT */
#ifndef GL_FS_COPY_H
#define GL_FS_COPY_H

#include <stdatomic.h>

/* Copies what is left to read in `from` to `to`. Returns 0 or -errno, UV_ECANCELED when stopped. On a pool thread. */
int gl_fs_copy_bytes(int from, int to, const atomic_bool *stop);

/* The folder `from` with all that is in it becomes `to`, which must not exist and appears only when it is complete.
 * Links are copied as links. 0 or -errno; *where (malloc) names the path that failed, when it is inside. On a pool
 * thread; `to` may be trimmed in place. */
int gl_fs_copy_tree(const char *from, char *to, const atomic_bool *stop, char **where);

#endif
