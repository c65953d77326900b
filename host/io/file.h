/* SPDX-License-Identifier: MIT
 *
 * A buffered file over a descriptor, for any number of tasks. Its jobs (a read with its formats, a flush ...) queue in
 * a lane and go on on the loop whenever bytes come or go; a file with one position has one lane, a pipe or a terminal
 * one for each direction. What is in flight on the pool belongs to the file and not to the job that asked for it: a
 * job that is cancelled leaves the queue, and the bytes that arrive later are the next reader's.
 *
 *     userdata --holds--> gl_file <--holds-- jobs, the pool
 */
#ifndef GL_IO_FILE_H
#define GL_IO_FILE_H

#include <stdatomic.h>
#include <stdio.h>

#include "core/buf.h"
#include "core/fork.h"
#include "core/op.h"
#include "io/descriptor.h"
#include "io/ready.h"

typedef struct gl_file gl_file;
typedef struct gl_files gl_files;

typedef enum gl_way { GL_READER, GL_WRITER } gl_way;
typedef enum gl_buffering { GL_BUFFER_NONE, GL_BUFFER_FULL, GL_BUFFER_LINE, GL_BUFFER_GUESS } gl_buffering;

/* First member of the op of every job. `step`, on the loop: 0 or a negative status = finished, GL_AGAIN = go on later. */
#define GL_AGAIN 1
typedef struct gl_filejob {
  gl_op op;
  gl_file *file; /* held */
  int way;       /* gl_way */
  int (*step)(struct gl_filejob *j);
} gl_filejob;

typedef struct gl_lane {
  gl_opqueue jobs;    /* the first one is at work */
  bool busy;          /* waits for the descriptor or the pool */
  bool pooled;        /* ... for the pool */
  uv_work_t req;      /* the pool's */
  gl_buf bytes;       /* writing: what the pool has taken from `out` */
  char *room;         /* reading: where the pool puts them, at the end of `in` */
  size_t want;        /* reading: how many */
  ssize_t result;
  atomic_bool ran;    /* the pool's part is over */
} gl_lane;

struct gl_file {
  gl_files *files;    /* NULL once those are closed */
  gl_host *host;
  gl_file *next, **at; /* in files->all */
  FILE *stream;       /* for C modules, which know nothing else; closing it closes the descriptor */
  gl_descriptor d;
  gl_ready_entry watch;
  gl_lane lane[2];
  gl_buf in;          /* read ahead */
  gl_buf out;         /* accepted, not written */
  gl_buf spare;       /* what `out` was, to be so again */
  size_t limit;       /* of `out` */
  uint64_t accepted;  /* bytes ever put */
  uint64_t written;   /* of those, written or lost to an error */
  int error;          /* of a flush nobody waited for */
  int refs;
  uint8_t buffering;  /* gl_buffering */
  bool readable, writable, append;
  bool held;          /* by a value, or as a standard file by `files` */
  bool standard;      /* stdin, stdout, stderr: not to be closed */
  bool ended;         /* the pool met the end, or an error: `met`, for the next gl_file_fill */
  int met;
  bool kick;          /* write what there is, though no job asks for it */
  bool over;          /* no more jobs; to be closed when nothing is left to write */
  gl_timer grace;     /* then what is left is given up */
  bool pushing;       /* its bytes become Lua values right now: a finalizer must not touch them */
  uint32_t fills;     /* reads since the last seek: the first one is small */
  off_t position;     /* of a regular file: where the descriptor stands; -1 = ask the kernel */
  bool at_end;        /* the first use of a file that was just opened has read all of it */
};

struct gl_files {
  gl_host *host;
  struct gl_fork_hook fork;
  gl_ready *ready;    /* once somebody waited */
  gl_file *all;
  gl_file *standard[3];
};

/* ---- life ---- */

/* A file for `stream` (whose buffer is never used) or, when that is NULL, for `fd`. `mode` as of fopen. NULL: out of
 * memory. One reference is the caller's. `own`: the description is not shared with anybody. */
gl_file *gl_file_new(gl_files *fs, int fd, FILE *stream, const char *mode, bool own);

void gl_file_unref(gl_file *f);

/* No more jobs come: ends those that wait, writes what is left without anybody waiting, then closes the descriptor. */
void gl_file_retire(gl_file *f);

/* Close now; everything is written. 0 or a negative errno. */
int gl_file_close(gl_file *f);

/* ---- without waiting ---- */

/* More bytes into f->in; wants about `want`. A count, 0 = end of file, a negative errno, or GL_WAIT_*. */
ssize_t gl_file_fill(gl_file *f, size_t want);

/* Accept bytes. False: out of memory. */
bool gl_file_put(gl_file *f, const void *bytes, size_t n);

/* Write out what was accepted. 0, a negative errno, or GL_WAIT_*. */
ssize_t gl_file_drain(gl_file *f);

/* May somebody read or write it right now, or are others before? */
bool gl_file_idle(const gl_file *f, gl_way way);

/* The descriptor was moved otherwise. */
static inline void gl_file_moved(gl_file *f) { f->position = -1; }

/* Forget what was read ahead: the position is where the reader thinks it is. */
void gl_file_rewind(gl_file *f);

/* Start writing what was accepted, and let it go on by itself. */
void gl_file_kick(gl_file *f);

/* Blocking: write everything, whoever writes now, and give back what stdin has read ahead. For finalizers of stderr, and the
 * end. 0 or a negative errno. */
int gl_file_flush_now(gl_file *f);
void gl_files_flush_now(gl_files *fs);

/* Write out what goes without blocking, and let the rest go on by itself: before another process writes. `all`: also what
 * nobody asked to be written yet. */
void gl_files_flush(gl_files *fs, bool all);

/* What was read ahead of stdin, and nobody has asked for, is there again for another process, if it is a file. */
void gl_files_give_back(gl_files *fs);

/* ---- jobs ---- */

/* Queue a job; its step may run at once. Afterwards `return gl_await`. */
void gl_file_start(gl_filejob *j, gl_file *f, gl_way way, int (*step)(gl_filejob *j));

/* For its optype. */
void gl_filejob_cancel(gl_op *op);
void gl_filejob_free(gl_op *op);

/* For a step: go on when what gl_file_fill or gl_file_drain said (GL_WAIT_*) came true. Returns GL_AGAIN, or an error. */
int gl_file_wait(gl_file *f, gl_way way, ssize_t why, size_t want);

/* ---- all of them ---- */

/* The host's files; the standard ones are made here. NULL: out of memory. */
gl_files *gl_files_new(gl_host *h);

/* Writes everything, and lets go of them. */
void gl_files_free(gl_files *fs);

#endif
