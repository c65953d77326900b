/* SPDX-License-Identifier: MIT
 *
 * A buffered file over a descriptor, for any number of tasks. Its jobs (a read with its formats, a flush, a close) wait in
 * queues: a file with one position has one queue, a pipe or a terminal has one for readers and one for writers. The first job of
 * a queue is at work; its `step` is called on the loop whenever bytes came or went.
 *
 *     userdata --holds--> gl_file <--holds-- jobs, the thread pool
 *
 * A queue:
 *
 *              .---- run_jobs: the step is finished, finish_job; the next job's step <----.
 *              v                                                                          |
 *            IDLE --- gl_file_wait(GL_WAIT_READY): start_polling ---> POLLED --- on_ready |
 *             | ^                                                       |                 |
 *             | '---- gl_file_stop_polling (cancel, close, grace) ------'                 |
 *             '------ gl_file_wait(GL_WAIT_POOL): gl_file_start_pool ---> POOLED --- on_pool
 *
 * A file:
 *
 *     OPEN --- gl_file_close --------> CLOSED; CLOSING first if a queue is POOLED
 *     OPEN --- gl_file_close_async --> CLOSING: readers get EBADF, run_jobs ends the writers and writes what is left
 *     CLOSING --- run_jobs: both queues are IDLE and empty, `out` is empty --> CLOSED: close_descriptor
 *     CLOSING --- on_grace: nobody takes what is left; it is dropped --------> CLOSED
 *
 * Invariants:
 *   1. Outside of run_jobs a queue that is IDLE has no jobs.
 *   2. What a POOLED queue reads or writes belongs to the file: a job that is cancelled leaves its queue, and bytes that arrive
 *      later are the next reader's.
 *   3. accepted - written = out.len + what the pool has of it (q->writing.len). Bytes lost to an error count as written.
 *   4. CLOSED is d.fd < 0: no queue is POLLED or POOLED, the grace timer is not armed, and nothing arms it again.
 *   5. In a seekable file queue[GL_WRITER] is IDLE and empty, and the descriptor stands in.len bytes behind the reader's
 *      position; before bytes are written it is moved back (gl_file_rewind).
 *   6. `refs` counts the value (`owned`), the descriptor until CLOSED, each job, and each POOLED queue.
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

typedef enum gl_direction { GL_READER, GL_WRITER } gl_direction;
typedef enum gl_buffering { GL_BUFFER_NONE, GL_BUFFER_FULL, GL_BUFFER_LINE, GL_BUFFER_GUESS } gl_buffering;
typedef enum gl_queue_state { GL_QUEUE_IDLE, GL_QUEUE_POLLED, GL_QUEUE_POOLED } gl_queue_state;

/* First member of the op of every job. `step` runs on the loop and returns 0 or a negative status when the job is finished,
 * GL_AGAIN when it wants to be called again. */
#define GL_AGAIN 1
typedef struct gl_filejob {
  gl_op op;
  gl_file *file;          /* one reference is the job's */
  gl_direction direction;
  int (*step)(struct gl_filejob *j);
} gl_filejob;

typedef struct gl_file_queue {
  gl_opqueue jobs;
  gl_queue_state state;
  uv_work_t req;          /* the thread pool's, while POOLED */
  gl_buf writing;         /* the pool writes: what it has taken from `out`; else empty */
  char *reading;          /* the pool reads: the place in `in` for the bytes; else NULL */
  size_t want;            /* bytes the pool is to read */
  ssize_t result;         /* bytes the pool has read or written, or a negative errno */
  atomic_bool ran;        /* the pool's thread is through */
} gl_file_queue;

struct gl_file {
  gl_files *files;        /* NULL once those are closed */
  gl_host *host;
  gl_file *next, **at;    /* in files->all */
  FILE *stream;           /* for C modules, which know nothing else; closing it closes the descriptor */
  gl_descriptor d;
  gl_ready_entry entry;   /* what the POLLED queues wait for */
  gl_file_queue queue[2];
  gl_buf in;              /* bytes read ahead */
  gl_buf out;             /* bytes accepted and not written */
  gl_buf spare;           /* memory that `out` gets when the pool takes what it has */
  size_t limit;           /* `out` is written out when it has so many bytes */
  uint64_t accepted;      /* bytes ever put into `out` */
  uint64_t written;       /* of those, how many left it */
  int error;              /* a flush that nobody waited for met it; told once */
  int refs;
  uint8_t buffering;      /* gl_buffering */
  bool readable, writable, append;
  bool owned;             /* one reference is a value's, or, of a standard file, files->standard's */
  bool standard;          /* stdin, stdout or stderr: never closed */
  bool read_ended;        /* the pool met the end or an error: the next gl_file_fill returns read_status */
  int read_status;
  bool flush_requested;   /* `out` is to be written though no job asks for it */
  bool closing;           /* CLOSING or CLOSED */
  gl_timer grace;         /* CLOSING: until what is left is dropped */
  bool pushing;           /* its bytes become Lua values right now: a finalizer must not take them */
  uint32_t fills;         /* reads since the last seek: the first one is small */
  off_t position;         /* of a regular file: where the descriptor stands; -1 = ask the kernel */
  bool at_end;            /* the first use of a file that was just opened has read all of it */
};

struct gl_files {
  gl_host *host;
  struct gl_fork_hook fork;
  gl_ready *ready;        /* NULL until somebody polls */
  gl_file *all;
  gl_file *standard[3];
};

/* ---- life ---- */

/* Makes a file for `stream` (whose buffer is never used) or, when that is NULL, for `fd`. `mode` is that of fopen. `own` says that
 * no other process shares the open file description. The caller owns one reference. Returns NULL when memory is out. */
gl_file *gl_file_new(gl_files *fs, int fd, FILE *stream, const char *mode, bool own);

void gl_file_ref(gl_file *f);
void gl_file_unref(gl_file *f);

/* Closes the file in the background: jobs that wait end with EBADF, what is left is written without anybody waiting. No-op when
 * the file is CLOSED. */
void gl_file_close_async(gl_file *f);

/* Closes the file, of which everything is written. Returns 0 or a negative errno. */
int gl_file_close(gl_file *f);

/* ---- without waiting ---- */

/* Reads more bytes into f->in, about `want` of them. Returns a count, 0 at the end of the file, a negative errno, or GL_WAIT_*. */
ssize_t gl_file_fill(gl_file *f, size_t want);

/* Accepts bytes. Returns false when memory is out. */
bool gl_file_put(gl_file *f, const void *bytes, size_t n);

/* Writes what was accepted. Returns 0, a negative errno, or GL_WAIT_*. */
ssize_t gl_file_drain(gl_file *f);

/* Says whether a job could begin at once: no other is there, and nothing is in flight. */
bool gl_file_idle(const gl_file *f, gl_direction direction);

/* Notes that somebody else moved the descriptor. */
static inline void gl_file_moved(gl_file *f) { f->position = -1; }

/* Forgets what was read ahead: the descriptor stands where the reader thinks it does. */
void gl_file_rewind(gl_file *f);

/* Begins to write what was accepted, and goes on without anybody waiting. */
void gl_file_flush_async(gl_file *f);

/* Writes everything, blocking, in the place of whoever writes now. For finalizers of stderr and for the end of the process.
 * Returns 0 or a negative errno. */
int gl_file_flush_sync(gl_file *f);

/* ---- jobs ---- */

/* Queues a job, whose step may run at once. The caller goes on with `return gl_await(...)`. */
void gl_file_start(gl_filejob *j, gl_file *f, gl_direction direction, int (*step)(gl_filejob *j));

/* The cancel and the free of the optype of every job. */
void gl_filejob_cancel(gl_op *op);
void gl_filejob_free(gl_op *op);

/* For a step: has it called again when that came true which gl_file_fill or gl_file_drain asked for (`why`, GL_WAIT_*). `want` is
 * how many bytes a read wants. Returns GL_AGAIN or a negative errno. */
int gl_file_wait(gl_file *f, gl_direction direction, ssize_t why, size_t want);

/* ---- all files of a host: files.c ---- */

/* Makes the host's files, the standard ones among them. Returns NULL when memory is out. */
gl_files *gl_files_new(gl_host *h);

/* Writes everything, and lets go of all files. */
void gl_files_free(gl_files *fs);

/* gl_file_flush_sync for all of them; what was read ahead of stdin is given back. */
void gl_files_flush_sync(gl_files *fs);

/* Writes what goes without blocking, and lets the rest go on by itself: before another process writes to the same places. `all`
 * includes what nobody asked to be written yet. */
void gl_files_flush(gl_files *fs, bool all);

/* Moves stdin, if it is a seekable file, back to the first byte that nobody has asked for, so that another process finds it. */
void gl_files_give_back(gl_files *fs);

/* ---- between file.c, file_pool.c and files.c ---- */

gl_file_queue *gl_file_queue_of(gl_file *f, gl_direction direction);

/* Goes on with the jobs of a queue that is IDLE, and with closing. */
void gl_file_run_jobs(gl_file *f, gl_file_queue *q);

/* POLLED -> IDLE; no-op in the other states. */
void gl_file_stop_polling(gl_file *f, gl_file_queue *q);

/* Takes `n` bytes out of `from` (`out` or q->writing): they were written, or are lost. */
void gl_file_wrote(gl_file *f, gl_buf *from, size_t n);

/* Adds the `n` bytes (no-op when n <= 0) to `in` that a read has put behind what is there. */
void gl_file_came(gl_file *f, ssize_t n);

/* How many bytes a read asks for whose job wants `want`. */
size_t gl_file_read_size(gl_file *f, size_t want);

/* -> CLOSED; no-op when it is. Returns 0 or a negative errno. */
int gl_file_close_descriptor(gl_file *f);

/* file_pool.c. IDLE -> POOLED: reads about `want` bytes, or writes what `out` has. Returns GL_AGAIN or a negative errno. */
int gl_file_start_pool(gl_file *f, gl_file_queue *q, gl_direction direction, size_t want);

/* file_pool.c. Blocking: takes back the bytes that the pool is to write, or waits until it has. */
void gl_file_recall_pool(gl_file *f, gl_file_queue *q);

#endif
