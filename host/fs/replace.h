/* SPDX-License-Identifier: MIT
 *
 * A file replaced as a whole: written under another name in the same folder, then renamed over the old one, so
 * that whoever reads sees all of the old or all of the new. All of this is for pool threads.
 */
#ifndef GL_FS_REPLACE_H
#define GL_FS_REPLACE_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct gl_fs_replace {
  char *target; /* what is replaced: the path behind any links, malloc */
  char *temp;   /* what is written until then, malloc; NULL = not made */
  int fd;       /* open for writing */
  mode_t mode;  /* the mode of the new file, if has_mode */
  bool has_mode; /* otherwise the umask decides */
} gl_fs_replace;

/* Opens r->fd. `mode`: of the new file; NULL = as the old one has it, or what the umask leaves. Owner and group of
 * the old file are kept where that is allowed. 0 or -errno; gl_fs_replace_end is to be called in any case. */
int gl_fs_replace_begin(gl_fs_replace *r, const char *path, const mode_t *mode);

/* The content is written (err = 0): rename. Otherwise undo. `sync`: on the disk before this returns. Returns err or
 * what went wrong. */
int gl_fs_replace_end(gl_fs_replace *r, int err, bool sync);

/* A new file (its descriptor is returned) or directory (0) with a name nobody has, in `dir`. *path: malloc, set when
 * it is >= 0; else -errno. */
int gl_fs_make_temp(const char *dir, const char *prefix, bool directory, mode_t mode, char **path);

/* The folder a name is in: malloc, NULL = out of memory. */
char *gl_fs_folder(const char *path);

#endif
