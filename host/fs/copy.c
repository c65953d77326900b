/* SPDX-License-Identifier: MIT
 *
 * Copying, a file's bytes or a whole tree. A tree is built under another name and renamed when it is complete, and
 * every step in it is relative to descriptors opened without following links.
 */
#include "fs/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/job.h"
#include "fs/replace.h"
#include "fs/path.h"
#include "fs/tree.h"

#define BLOCK (64 * 1024)
#define MODE 01777 /* set-id bits are dropped: the copy may belong to somebody else */

typedef struct copying {
  gl_fs_path path;  /* in the source */
  struct stat skip;  /* the folder that gets the copy, which may lie in the source */
} copying;

static int copy_entry(copying *c, int from, int to, const char *name);

/* Copies in the way that every file system knows. */
static int pump(int from, int to, const atomic_bool *stop) {
  char block[BLOCK];
  for (;;) {
    ssize_t got = read(from, block, sizeof block);
    if (got == 0) return 0;
    if (got < 0 && errno != EINTR) return gl_fs_errno();
    int err = got > 0 ? gl_fs_write_all(to, block, (size_t)got, -1, stop, NULL) : 0;
    if (err) return err;
  }
}

/* The kernel copies as far as it can, and may share blocks; pump copies the rest, and finds out what is wrong. */
int gl_fs_copy_bytes(int from, int to, const atomic_bool *stop) {
  do if (atomic_load(stop)) return UV_ECANCELED;
  while (copy_file_range(from, NULL, to, NULL, 16 * GL_FS_STEP, 0) > 0);
  return pump(from, to, stop);
}

static int copy_link(int from, int to, const char *name) {
  char target[PATH_MAX];
  ssize_t n = readlinkat(from, name, target, sizeof target - 1);
  if (n < 0) return gl_fs_errno();
  target[n] = '\0';
  return symlinkat(target, to, name) == 0 ? 0 : gl_fs_errno();
}

static int copy_regular(copying *c, int from, int to, const char *name, mode_t mode) {
  int err = 0, out = -1, in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (in >= 0) out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (out < 0) err = gl_fs_errno();
  if (!err) err = gl_fs_copy_bytes(in, out, c->path.stop);
  if (!err && fchmod(out, mode & 0777) != 0) err = gl_fs_errno();
  if (in >= 0) close(in);
  if (out >= 0 && close(out) != 0 && !err) err = gl_fs_errno();
  return err;
}

/* Closes `from`. */
static int copy_content(copying *c, int from, int to) {
  DIR *d = fdopendir(from);
  int err = 0;
  if (!d) {
    err = gl_fs_errno();
    close(from);
    return err;
  }
  for (struct dirent *e; !err && (errno = 0, e = readdir(d)) != NULL;)
    if (!gl_fs_is_dots(e->d_name)) err = copy_entry(c, dirfd(d), to, e->d_name);
  if (!err && errno) err = gl_fs_errno();
  closedir(d);
  return err;
}

static int copy_folder(copying *c, int from, int to, const char *name, mode_t mode) {
  if (mkdirat(to, name, 0700) != 0) return gl_fs_errno();
  int err = 0, out = -1, in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (in >= 0) out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (out < 0) err = gl_fs_errno();
  if (in >= 0 && err) close(in);
  if (!err) err = copy_content(c, in, out);
  if (!err && fchmod(out, mode & MODE) != 0) err = gl_fs_errno();
  if (out >= 0) close(out);
  return err;
}

static int copy_entry(copying *c, int from, int to, const char *name) {
  struct stat st;
  size_t len = c->path.len;
  int err = gl_fs_path_push(&c->path, name);
  if (err) return err;
  if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0) err = gl_fs_errno();
  else if (S_ISREG(st.st_mode)) err = copy_regular(c, from, to, name, st.st_mode);
  else if (S_ISLNK(st.st_mode)) err = copy_link(from, to, name);
  else if (!S_ISDIR(st.st_mode)) err = UV_EINVAL; /* a device, a socket, a named pipe */
  else if (st.st_ino != c->skip.st_ino || st.st_dev != c->skip.st_dev) err = copy_folder(c, from, to, name, st.st_mode);
  if (!err) gl_fs_path_pop(&c->path, len);
  return err;
}

static int fill(copying *c, const char *from, const char *temp) {
  struct stat st = {0};
  int err = gl_fs_path_push(&c->path, from);
  if (err) return err;
  int in = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int out = in < 0 ? -1 : open(temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (out < 0 || fstat(in, &st) != 0 || fstat(out, &c->skip) != 0) err = gl_fs_errno();
  if (in >= 0 && err) close(in);
  if (!err) err = copy_content(c, in, out);
  if (!err && fchmod(out, st.st_mode & MODE) != 0) err = gl_fs_errno();
  if (out >= 0) close(out);
  return err;
}

/* Where a file system cannot refuse to replace, a look before the rename has to do. */
static int publish(const char *temp, const char *to) {
  struct stat st;
  if (renameat2(AT_FDCWD, temp, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return gl_fs_errno();
  if (lstat(to, &st) == 0) return UV_EEXIST;
  return rename(temp, to) == 0 ? 0 : gl_fs_errno();
}

int gl_fs_copy_tree(const char *from, char *to, const atomic_bool *stop, char **where) {
  struct stat st;
  char *temp = NULL, *dir;
  copying c = {.path = {.stop = stop}};
  gl_fs_trim(to);
  if (lstat(to, &st) == 0) return UV_EEXIST;
  if (!(dir = gl_fs_folder(to))) return UV_ENOMEM;
  int err = gl_fs_make_temp(dir, ".greenlua-", true, 0700, &temp);
  free(dir);
  if (err < 0) return err;
  err = fill(&c, from, temp);
  if (err) *where = strdup(c.path.text);
  else err = publish(temp, to);
  if (err) gl_fs_remove_tree(temp);
  free(temp);
  return err;
}
