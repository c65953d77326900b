/* SPDX-License-Identifier: MIT */
#include "fs/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#define TRIES 100 /* names in a row that exist already */
#define LINKS 40  /* as many as the kernel follows */

char *gl_fs_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return strdup(".");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int make(const char *path, bool directory, mode_t mode) {
  int fd = directory ? mkdir(path, mode) : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  return fd < 0 ? -errno : fd;
}

int gl_fs_make_temp(const char *dir, const char *prefix, bool directory, mode_t mode, char **path) {
  int got = UV_EEXIST;
  for (int i = 0; i < TRIES && got == UV_EEXIST; i++) {
    uint64_t random;
    int err = uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    if (err) return err;
    if (asprintf(path, "%s/%s%016llx", dir, prefix, (unsigned long long)random) < 0) return UV_ENOMEM;
    got = make(*path, directory, mode);
    if (got < 0) free(*path);
  }
  if (got < 0) *path = NULL;
  return got;
}

/* Returns where the link leads, as a path of its own; malloc. NULL = it is gone, or memory is out. */
static char *follow(const char *path) {
  char to[PATH_MAX], *next = NULL, *dir;
  ssize_t n = readlink(path, to, sizeof to - 1);
  if (n < 0) return NULL;
  to[n] = '\0';
  if (*to == '/') return strdup(to);
  dir = gl_fs_folder(path);
  if (dir && asprintf(&next, "%s/%s", dir, to) < 0) next = NULL;
  free(dir);
  return next;
}

/* A link stays a link: the file it points to is replaced, or made. */
static int find_target(const char *path, char **target) {
  char *at = strdup(path);
  for (int i = 0; at; i++) {
    struct stat st;
    if (lstat(at, &st) != 0 || !S_ISLNK(st.st_mode)) break;
    char *next = i < LINKS ? follow(at) : NULL;
    free(at);
    if (!next) return i < LINKS ? UV_ENOENT : UV_ELOOP;
    at = next;
  }
  *target = at;
  return at ? 0 : UV_ENOMEM;
}

static void copy_owner_and_mode(gl_fs_replace *r, const struct stat *old, const mode_t *mode) {
  r->mode = mode ? *mode : old->st_mode & 07777;
  r->has_mode = true;
  if (fchown(r->fd, old->st_uid, old->st_gid) != 0 && !mode) r->mode &= 0777; /* set-id bits of another owner are not given to this one */
}

int gl_fs_replace_begin(gl_fs_replace *r, const char *path, const mode_t *mode) {
  struct stat old;
  *r = (gl_fs_replace){.fd = -1};
  int err = find_target(path, &r->target);
  if (err) return err;
  bool exists = stat(r->target, &old) == 0;
  if (!exists && errno != ENOENT) return -errno;
  if (exists && !S_ISREG(old.st_mode)) return S_ISDIR(old.st_mode) ? UV_EISDIR : UV_EINVAL;
  char *dir = gl_fs_folder(r->target);
  if (!dir) return UV_ENOMEM;
  r->fd = gl_fs_make_temp(dir, ".greenlua-", false, exists || mode ? 0600 : 0666, &r->temp);
  free(dir);
  if (r->fd < 0) return r->fd;
  if (mode) r->mode = *mode;
  r->has_mode = mode != NULL;
  if (exists) copy_owner_and_mode(r, &old, mode);
  return 0;
}

/* Makes the new name, too, survive a power cut. Errors are ignored: not every file system can do so. */
static void sync_folder(const char *path) {
  char *dir = gl_fs_folder(path);
  int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(dir);
}

/* The mode comes last: changing the owner drops the set-id bits, and so does writing, for all but root. */
int gl_fs_replace_end(gl_fs_replace *r, int err, bool sync) {
  if (!err && r->has_mode && fchmod(r->fd, r->mode) != 0) err = -errno;
  if (!err && sync && fsync(r->fd) != 0) err = -errno;
  if (r->fd >= 0 && close(r->fd) != 0 && !err) err = -errno;
  if (!err && rename(r->temp, r->target) != 0) err = -errno;
  if (err && r->temp) unlink(r->temp);
  if (!err && sync) sync_folder(r->target);
  free(r->temp);
  free(r->target);
  return err;
}
