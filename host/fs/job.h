/* SPDX-License-Identifier: MIT
 *
 * What the functions of green.fs share: a job for the pool with one or two paths, the checks of their arguments
 * and the errors they raise. A job does all its system calls in one hop, owns whatever it touches, and looks at
 * `stop` between steps: when its task was cancelled it undoes what it began.
 */
#ifndef GL_FS_JOB_H
#define GL_FS_JOB_H

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/work.h"

#define GL_FS_STEP (1024 * 1024) /* bytes between two looks at `stop` */
#define GL_FS_MAX (64 * 1024 * 1024) /* what is read at once without a limit of the caller's */

typedef struct gl_fs_cleanup gl_fs_cleanup;

/* One job for all of them: which members are used is the business of its `run`. */
typedef struct gl_fs_job {
  gl_work work;
  atomic_bool stop;    /* its task is gone: end soon */
  struct stat st;      /* answer */
  char *data;          /* answer: malloc; or, of `cap` bytes, gl_memory_resize */
  size_t cap;
  size_t len, max;     /* bytes in it, bytes allowed */
  struct dirent **entries; /* answer of list, by scandir(3) */
  int count;           /* of those */
  gl_fs_cleanup *left; /* open, temp: until the handle takes it */
  char *where;         /* the path below `path` that failed, malloc; NULL = path itself */
  const char *bytes;   /* pinned: what to write */
  size_t size;
  int flags;           /* options, O_* */
  mode_t mode;         /* permission bits */
  struct timespec times[2]; /* access, modification */
  char *to;            /* second path or NULL */
  char path[];         /* owned copy, then that of the second */
} gl_fs_job;

/* Options in `flags`, for those who take any. */
enum { GL_FS_MODE = 1, GL_FS_SYNC = 2, GL_FS_RECURSIVE = 4, GL_FS_PARENTS = 8 };

/* -errno, which is what libuv's codes are here. */
static inline int gl_fs_errno(void) { return -errno; }

static inline gl_fs_job *gl_fs_job_of(gl_work *w) { return (gl_fs_job *)w; }

/* A new job; from here to gl_work_await nothing may raise. Raises as gl_op_new does. */
gl_fs_job *gl_fs_job_new(lua_State *L, const gl_optype *type, const char *path, const char *to, int pin_idx,
                         void (*run)(gl_work *));

/* cancel, free, object and the plainest push of every such optype. */
void gl_fs_cancel(gl_op *op);
void gl_fs_free(gl_op *op);
void gl_fs_object(const gl_op *op, char *out, size_t size);
int gl_fs_push_nothing(lua_State *L, gl_op *op);

/* Raises what the job ended with, naming op and path. Never returns. */
int gl_fs_fail(lua_State *L, gl_op *op);

/* A path: not empty, without NUL bytes. Raises. */
const char *gl_fs_check_path(lua_State *L, int idx);

/* Permission bits: an integer, or a string of octal digits. Raises. */
mode_t gl_fs_check_mode(lua_State *L, int idx);

/* The options at idx (a table or nothing): `allowed` of GL_FS_*; `mode` is stored when it is among them. Raises on
 * others. Returns those that are set. */
int gl_fs_check_options(lua_State *L, int idx, int allowed, mode_t *mode);

/* Pushes a table for a file's status. May raise. */
void gl_fs_push_stat(lua_State *L, const struct stat *st);

/* All of it to fd, at `offset` or (-1) where fd stands. 0 or -errno, UV_ECANCELED when stopped; `*written` (may be
 * NULL) is how much it was. On a pool thread. */
int gl_fs_write_all(int fd, const char *bytes, size_t n, int64_t offset, const atomic_bool *stop, size_t *written);

/* "/a/b/" -> "/a/b", in place. */
void gl_fs_trim(char *path);

/* Each adds its functions to the table on top. */
void gl_fs_add_content(lua_State *L);
void gl_fs_add_names(lua_State *L);
void gl_fs_add_open(lua_State *L);
void gl_fs_add_tree(lua_State *L);
void gl_fs_add_watch(lua_State *L);

#endif
