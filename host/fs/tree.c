/* SPDX-License-Identifier: MIT
 *
 * Removing; the model of bindings over the thread pool. run_remove runs on a pool thread, touches its job alone and stores results
 * there; core/work.c says done on the loop; gl_fs_push_nothing, gl_fs_cancel and gl_fs_free (fs/job.h) are shared by all such
 * optypes, so that beside them stand remove_type and fs_remove (check, make the job, `return gl_work_await`).
 *
 * Each step is relative to the descriptor of the folder it is in, and folders are opened without
 * following links: nobody who swaps a folder for a link meanwhile leads us out of the tree.
 */
#include "fs/tree.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/job.h"
#include "fs/path.h"

#define MAX_TRIES 100

static int remove_entry(gl_fs_path *t, int dir, const char *name);

static int empty(gl_fs_path *t, int fd) {
  DIR *d = fdopendir(fd);
  int err = 0;
  if (!d) {
    err = gl_fs_errno();
    close(fd);
    return err;
  }
  for (struct dirent *e; !err && (errno = 0, e = readdir(d)) != NULL;)
    if (!gl_fs_is_dots(e->d_name)) err = remove_entry(t, dirfd(d), e->d_name);
  if (!err && errno) err = gl_fs_errno();
  closedir(d);
  return err;
}

static int remove_folder_once(gl_fs_path *t, int dir, const char *name) {
  int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return gl_fs_errno();
  int err = empty(t, fd);
  if (!err && unlinkat(dir, name, AT_REMOVEDIR) != 0) err = gl_fs_errno();
  return err;
}

/* A folder that was emptied and is not empty got a name meanwhile: a job of ours that was cancelled while a thread
 * was at it goes on to its next step. It has few of them; who has more is somebody else, and the caller hears of it. */
static int remove_folder(gl_fs_path *t, int dir, const char *name) {
  size_t len = t->len;
  int err = remove_folder_once(t, dir, name);
  for (int tries = 1; err == UV_ENOTEMPTY && t->len == len && tries < MAX_TRIES; tries++)
    err = remove_folder_once(t, dir, name);
  return err;
}

/* An entry that another process has removed meanwhile counts as removed. */
static int remove_entry(gl_fs_path *t, int dir, const char *name) {
  size_t len = t->len;
  int err = gl_fs_path_push(t, name);
  if (!err && unlinkat(dir, name, 0) != 0) err = errno == EISDIR ? remove_folder(t, dir, name) : gl_fs_errno();
  if (err && err != UV_ENOENT) return err;
  gl_fs_path_pop(t, len);
  return 0;
}

static int remove_top(gl_fs_path *t, const char *path) {
  int err = gl_fs_path_push(t, path);
  if (err || unlinkat(AT_FDCWD, path, 0) == 0) return err;
  return errno == EISDIR ? remove_folder(t, AT_FDCWD, path) : gl_fs_errno();
}

int gl_fs_remove_tree(const char *path) {
  gl_fs_path t = {0};
  return remove_top(&t, path);
}

/* Nobody means to remove "/", "." or "..". */
static bool is_removable(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  return *name && !gl_fs_is_dots(name);
}

static void run_remove(gl_work *w) {
  gl_fs_job *j = gl_fs_job_of(w);
  gl_fs_path t = {.stop = &j->stop};
  gl_fs_trim(j->path);
  if (!is_removable(j->path)) w->result = UV_EINVAL;
  else if (j->flags & GL_FS_RECURSIVE) w->result = remove_top(&t, j->path);
  else if (unlink(j->path) != 0) w->result = errno == EISDIR && rmdir(j->path) == 0 ? 0 : gl_fs_errno();
  if (w->result && t.len) j->where = strdup(t.text);
}

static const gl_optype remove_type = {"fs.remove", gl_fs_push_nothing, gl_fs_cancel, gl_fs_free, gl_fs_object};

static int fs_remove(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1);
  int flags = gl_fs_check_options(L, 2, GL_FS_RECURSIVE, NULL);
  gl_fs_job *j = gl_fs_job_new(L, &remove_type, path, NULL, 0, run_remove);
  j->flags = flags;
  return gl_work_await(L, &j->work, GL_FOREVER);
}

void gl_fs_add_tree(lua_State *L) {
  lua_pushcfunction(L, fs_remove);
  lua_setfield(L, -2, "remove");
}
