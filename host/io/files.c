/* SPDX-License-Identifier: MIT
 *
 * All files of a host: the standard ones, what is written when the process ends or forks or starts another one.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/check.h"
#include "core/opqueue.h"
#include "io/file.h"

/* ---- writing everything ---- */

void gl_files_give_back(gl_files *fs) {
  gl_file *f = fs->standard[STDIN_FILENO];
  if (gl_file_idle(f, GL_READER) && !f->pushing && f->d.fd >= 0) gl_file_rewind(f);
}

static bool is_pooled(const gl_file *f) {
  return f->queue[GL_READER].state == GL_QUEUE_POOLED || f->queue[GL_WRITER].state == GL_QUEUE_POOLED;
}

/* A pipe that is CLOSING did not take its bytes so far, and may never do so. */
static void flush_at_end(gl_file *f) {
  if (f->closing && f->d.polled) gl_file_drain(f);
  else if (f->out.len || is_pooled(f)) gl_file_flush_sync(f);
}

void gl_files_flush_sync(gl_files *fs) {
  gl_files_give_back(fs);
  for (gl_file *f = fs->all; f; f = f->next) flush_at_end(f);
}

void gl_files_flush(gl_files *fs, bool all) {
  for (gl_file *f = fs->all, *next; f; f = next) {
    next = f->next;
    if (!f->flush_requested && !is_pooled(f) && !(all && f->out.len)) continue;
    const gl_file_queue *reader = &f->queue[GL_READER];
    bool reads = reader->state == GL_QUEUE_POOLED && reader->reading;
    if (f->d.known && f->d.seekable && !reads) gl_file_flush_sync(f);
    else gl_file_flush_async(f);
  }
}

/* ---- in a forked child ---- */

/* The parent goes on writing what it was writing; what it only had accepted is both processes', as with stdio. */
static void reset(gl_file *f) {
  gl_file_queue *writer = gl_file_queue_of(f, GL_WRITER);
  bool writes = f->flush_requested || f->closing || writer->state != GL_QUEUE_IDLE || writer->jobs.head;
  for (int i = 0; i < 2; i++) {
    gl_file_queue *q = &f->queue[i];
    gl_file_wrote(f, &q->writing, q->writing.len);
    gl_buf_free(&q->writing);
    q->jobs = (gl_opqueue){0};
    q->state = GL_QUEUE_IDLE;
  }
  if (writes) gl_file_wrote(f, &f->out, f->out.len);
  f->flush_requested = false;
  f->entry.known = f->entry.in = f->entry.out = false;
}

static void on_forked(struct gl_fork_hook *hook) {
  gl_files *fs = GL_CONTAINER(hook, gl_files, fork);
  for (gl_file *f = fs->all; f; f = f->next) reset(f);
  if (fs->ready) gl_ready_forked(fs->ready);
}

static void on_leave(struct gl_fork_hook *hook) { gl_files_flush_sync(GL_CONTAINER(hook, gl_files, fork)); }

/* ---- life ---- */

gl_files *gl_files_new(gl_host *h) {
  FILE *const streams[] = {stdin, stdout, stderr};
  static const char *const modes[] = {"r", "w", "w"};
  gl_files *fs = calloc(1, sizeof *fs);
  if (!fs) return NULL;
  fs->host = h;
  fs->fork = (struct gl_fork_hook){.forked = on_forked, .leave = on_leave};
  for (int i = 0; i < 3; i++) {
    fs->standard[i] = gl_file_new(fs, i, streams[i], modes[i], false);
    if (!fs->standard[i]) return NULL;
  }
  gl_fork_add(h, &fs->fork);
  fs->standard[STDERR_FILENO]->buffering = GL_BUFFER_NONE;
  return fs;
}

/* A file whose read is on the pool is closed when that returns. A value that was made while the state was closing is never
 * finalized: its reference is dropped here. */
static void forget(gl_file *f) {
  bool owned = f->owned;
  f->closing = true;
  if (f->files->ready) gl_ready_remove(f->files->ready, &f->entry, f->d.io);
  for (int i = 0; i < 2; i++) gl_file_stop_polling(f, &f->queue[i]);
  f->files = NULL;
  f->next = NULL; /* the list is no more */
  f->at = &f->next;
  if (!is_pooled(f)) gl_file_close_descriptor(f);
  if (owned) gl_file_unref(f);
}

void gl_files_free(gl_files *fs) {
  gl_fork_remove(fs->host, &fs->fork);
  gl_files_flush_sync(fs);
  for (gl_file *f = fs->all, *next; f; f = next) {
    next = f->next;
    forget(f);
  }
  if (fs->ready) gl_ready_free(fs->ready);
  free(fs);
}
