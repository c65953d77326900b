/* SPDX-License-Identifier: MIT
 *
 * What the functions of green.fs share: a job for the thread pool with one or two paths, the checks of their arguments, and the
 * errors they raise. A job does all its system calls in one hop and owns whatever it touches.
 *
 *        the loop's thread                        a pool thread
 *     fs_NAME: checks, gl_fs_job_new
 *       gl_work_await -------- queued --------> run_NAME: system calls, looks at `stop` between them
 *            |                                      |  undoes what it began when it was stopped
 *       gl_fs_cancel: stop = true;                  |
 *         dropped if it has not begun               v
 *       push_NAME or gl_fs_fail <---- done ---- w->result: 0 or -errno
 *       gl_fs_free
 *
 * Invariants:
 *   1. Between gl_work_await and done only `run` touches the job, except for `stop`, which is atomic.
 *   2. What `run` opened or made for a handle is in `cleanup` until push gives it to the handle: a job that is freed before, since its
 *      task was cancelled or memory was out, cleans it up.
 *   3. `bytes` point into the value that the op pins; paths are copies.
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

/* One struct for the jobs of all functions. Each `run` says by its code which of the members it uses. */
typedef struct gl_fs_job {
  gl_work work;
  atomic_bool stop;    /* the task waits no longer: `run` is to end soon */
  struct stat st;      /* result of stat and open */
  char *data;          /* result: from malloc, or, if `cap` > 0, of so many bytes from gl_memory_resize */
  size_t cap;
  size_t len, max;     /* bytes in `data`; the most that are allowed */
  struct dirent **entries; /* result of list, from scandir(3) */
  int count;           /* of entries */
  gl_fs_cleanup *cleanup; /* what open and temp have made, until a handle takes it */
  char *where;         /* the path below `path` that failed, malloc; NULL = path itself */
  const char *bytes;   /* to be written; in a pinned string */
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

/* Makes a job. Raises as gl_op_new does, and ENAMETOOLONG. From here to gl_work_await nothing may raise. */
gl_fs_job *gl_fs_job_new(lua_State *L, const gl_optype *type, const char *path, const char *to, int pin_idx,
                         void (*run)(gl_work *));

/* The cancel, free and object of every such optype, and the push of those that return nothing. */
void gl_fs_cancel(gl_op *op);
void gl_fs_free(gl_op *op);
void gl_fs_object(const gl_op *op, char *out, size_t size);
int gl_fs_push_nothing(lua_State *L, gl_op *op);

/* Raises the error that the job ended with, which names op and path. Never returns. */
int gl_fs_fail(lua_State *L, gl_op *op);

/* Returns the path at idx, which is not empty and has no NUL bytes. Raises otherwise. */
const char *gl_fs_check_path(lua_State *L, int idx);

/* Permission bits: an integer, or a string of octal digits. Raises. */
mode_t gl_fs_check_mode(lua_State *L, int idx);

/* The options at idx (a table or nothing): `allowed` of GL_FS_*; `mode` is stored when it is among them. Raises on
 * others. Returns those that are set. */
int gl_fs_check_options(lua_State *L, int idx, int allowed, mode_t *mode);

/* Pushes a table for a file's status. May raise. */
void gl_fs_push_stat(lua_State *L, const struct stat *st);

/* Writes all bytes to fd, at `offset` or (-1) where fd stands. Returns 0 or -errno, UV_ECANCELED when stopped; sets *written (may be
 * NULL) to how many bytes were written. On a pool thread. */
int gl_fs_write_all(int fd, const char *bytes, size_t n, int64_t offset, const atomic_bool *stop, size_t *written);

/* Takes slashes from the end of a path, in place: "/a/b/" becomes "/a/b". */
void gl_fs_trim(char *path);

/* Each adds the functions of one file to the table on top. */
void gl_fs_add_content(lua_State *L);
void gl_fs_add_names(lua_State *L);
void gl_fs_add_open(lua_State *L);
void gl_fs_add_tree(lua_State *L);
void gl_fs_add_watch(lua_State *L);

#endif
