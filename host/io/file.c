/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/opqueue.h"
#include "core/prompt.h"

#define LIMIT 65536           /* bytes of `out`, unless setvbuf says otherwise */
#define FIRST 4096            /* bytes of the first read: most files are small */
#define STEP 65536            /* bytes of the other reads */
#define AT_ONCE (256 * 1024)  /* more than this is read on the pool, though it may be cached */
#define GRACE 5.0             /* seconds for what is left to be written in the background */

gl_file_queue *gl_file_queue_of(gl_file *f, gl_direction direction) {
  gl_descriptor_look(&f->d);
  return &f->queue[f->d.seekable ? GL_READER : direction];
}

/* ---- life ---- */

static void on_ready(gl_ready_entry *w, bool in, bool out);
static void on_grace(gl_timer *timer);

gl_file *gl_file_new(gl_files *fs, int fd, FILE *stream, const char *mode, bool own) {
  gl_file *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->stream = stream ? stream : fdopen(fd, mode);
  if (!f->stream) {
    free(f);
    return NULL;
  }
  gl_descriptor_init(&f->d, fd, own);
  f->files = fs;
  f->host = fs->host;
  f->entry.on_ready = on_ready;
  f->grace.fire = on_grace;
  f->standard = f->owned = stream != NULL;
  f->buffering = GL_BUFFER_GUESS;
  f->limit = LIMIT;
  f->append = *mode == 'a';
  f->readable = *mode == 'r' || strchr(mode, '+');
  f->writable = *mode != 'r' || strchr(mode, '+');
  f->position = own ? 0 : -1;
  f->refs = 2; /* the caller's, the descriptor's */
  f->next = fs->all;
  f->at = &fs->all;
  if (f->next) f->next->at = &f->next;
  fs->all = f;
  if (!f->standard) f->host->census.handles++;
  return f;
}

void gl_file_ref(gl_file *f) { f->refs++; }

void gl_file_unref(gl_file *f) {
  if (--f->refs > 0) return;
  *f->at = f->next;
  if (f->next) f->next->at = f->at;
  gl_buf_free(&f->in);
  gl_buf_free(&f->out);
  gl_buf_free(&f->spare);
  free(f);
}

static bool is_quiet(const gl_file *f) {
  for (int i = 0; i < 2; i++)
    if (f->queue[i].jobs.head || f->queue[i].state != GL_QUEUE_IDLE) return false;
  return true;
}

int gl_file_close_descriptor(gl_file *f) {
  if (f->d.fd < 0) return 0;
  gl_timer_drop(&f->host->clock, &f->grace);
  if (f->files && f->files->ready) gl_ready_remove(f->files->ready, &f->entry, f->d.io);
  gl_descriptor_drop(&f->d);
  int err = f->standard || fclose(f->stream) == 0 ? 0 : -errno;
  if (!f->standard) f->host->census.handles--;
  gl_file_unref(f);
  return err;
}

static void finish_job(gl_file_queue *q, int status) {
  gl_op_done(gl_opqueue_take(&q->jobs), status);
}

void gl_file_stop_polling(gl_file *f, gl_file_queue *q) {
  if (q->state != GL_QUEUE_POLLED) return;
  q->state = GL_QUEUE_IDLE;
  if (q == &f->queue[GL_READER]) f->entry.in = false;
  else f->entry.out = false;
}

static void fail_jobs(gl_file *f, gl_file_queue *q) {
  while (q->jobs.head) finish_job(q, UV_EBADF);
  gl_file_stop_polling(f, q);
}

int gl_file_close(gl_file *f) {
  gl_file_ref(f);
  f->closing = true;
  if (!f->d.seekable) fail_jobs(f, &f->queue[GL_READER]);
  bool busy = f->queue[GL_READER].state != GL_QUEUE_IDLE || f->queue[GL_WRITER].state != GL_QUEUE_IDLE;
  int err = busy ? 0 : gl_file_close_descriptor(f); /* else gl_file_run_jobs does so, when the pool is through */
  gl_file_unref(f);
  return err;
}

void gl_file_wrote(gl_file *f, gl_buf *from, size_t n) {
  gl_file_moved(f);
  f->written += n;
  gl_buf_eat(from, n);
}

/* The process at the other end takes nothing more: what is left would keep the file for ever. */
static void on_grace(gl_timer *timer) {
  gl_file *f = GL_CONTAINER(timer, gl_file, grace);
  gl_file_queue *writer = gl_file_queue_of(f, GL_WRITER);
  gl_file_wrote(f, &f->out, f->out.len);
  gl_file_stop_polling(f, writer);
  gl_file_run_jobs(f, writer);
}

void gl_file_close_async(gl_file *f) {
  if (f->d.fd < 0) return;
  gl_file_queue *writer = gl_file_queue_of(f, GL_WRITER);
  f->closing = true;
  gl_file_ref(f);
  if (f->files && f->d.polled && !f->standard) gl_timer_arm(&f->host->clock, &f->grace, GRACE);
  fail_jobs(f, &f->queue[GL_READER]);
  gl_file_run_jobs(f, writer);
  gl_file_unref(f);
}

/* ---- bytes in ---- */

/* Returns how much is left of a regular file, and one byte more, so that the end is noticed. */
static size_t remaining(gl_file *f) {
  struct stat st;
  if (!f->d.seekable) return STEP;
  if (f->position < 0 || f->position >= f->d.size) {
    if (fstat(f->d.fd, &st) != 0) return STEP;
    f->d.size = st.st_size;
    f->position = lseek(f->d.fd, 0, SEEK_CUR);
  }
  return f->d.size > f->position ? (size_t)(f->d.size - f->position) + 1 : FIRST;
}

void gl_file_came(gl_file *f, ssize_t n) {
  if (n <= 0) return;
  gl_buf_grew(&f->in, (size_t)n);
  if (f->position >= 0) f->position += n;
}

size_t gl_file_read_size(gl_file *f, size_t want) {
  if (want == SIZE_MAX) want = remaining(f);
  bool small = !f->fills++ || (f->d.size && f->position >= f->d.size); /* at the end of a file little more is to be expected */
  size_t least = small && !f->d.polled ? FIRST : STEP;
  if (f->standard && f->d.polled) least = FIRST; /* no more than stock Lua: the next process may read what this one leaves */
  return want > least ? want : least;
}

ssize_t gl_file_fill(gl_file *f, size_t want) {
  if (!f->readable || f->d.fd < 0) return -EBADF;
  gl_descriptor_look(&f->d);
  if (f->read_ended) {
    f->read_ended = false;
    return f->read_status;
  }
  if (f->d.seekable && f->out.len) {
    ssize_t err = gl_file_drain(f);
    if (err) return err;
  }
  size_t n = gl_file_read_size(f, want);
  if (n > AT_ONCE && f->d.seekable) return GL_WAIT_POOL;
  if (n > AT_ONCE) n = AT_ONCE;
  char *room = gl_buf_room(&f->in, n);
  if (!room) return -ENOMEM;
  ssize_t got = gl_descriptor_read(&f->d, room, n);
  gl_file_came(f, got);
  f->at_end = f->fills == 1 && f->d.size > 0 && f->position == f->d.size && (size_t)got < n; /* the size was found by this very call */
  return got;
}

/* ---- bytes out ---- */

bool gl_file_put(gl_file *f, const void *bytes, size_t n) {
  if (!gl_buf_add(&f->out, bytes, n)) return false;
  f->accepted += n;
  return true;
}

void gl_file_rewind(gl_file *f) {
  if (!f->in.len || !f->d.seekable) return;
  lseek(f->d.fd, -(off_t)f->in.len, SEEK_CUR);
  gl_file_moved(f);
  gl_buf_eat(&f->in, f->in.len);
}

ssize_t gl_file_drain(gl_file *f) {
  gl_descriptor_look(&f->d);
  gl_file_rewind(f);
  if (f->d.terminal && f->out.len) gl_prompt_hide(f->host, gl_buf_at(&f->out)[f->out.len - 1] == '\n');
  while (f->out.len) {
    ssize_t n = gl_descriptor_write(&f->d, gl_buf_at(&f->out), f->out.len);
    if (n == GL_WAIT_READY || n == GL_WAIT_POOL) return n;
    gl_file_wrote(f, &f->out, n > 0 ? (size_t)n : f->out.len); /* what an error kept from being written is lost */
    if (n <= 0) return n ? n : -EIO;
  }
  f->flush_requested = false;
  return 0;
}

int gl_file_flush_sync(gl_file *f) {
  if (f->d.fd < 0) return 0;
  gl_file_recall_pool(f, gl_file_queue_of(f, GL_WRITER));
  gl_file_rewind(f);
  int err = f->error;
  f->error = 0;
  if (f->d.terminal && f->out.len) gl_prompt_hide(f->host, gl_buf_at(&f->out)[f->out.len - 1] == '\n');
  while (f->out.len) {
    ssize_t n = gl_descriptor_write_sync(&f->d, gl_buf_at(&f->out), f->out.len);
    gl_file_wrote(f, &f->out, n > 0 ? (size_t)n : f->out.len);
    if (n <= 0) err = n ? (int)n : UV_EIO;
  }
  return err;
}

/* ---- readiness ---- */

static int start_polling(gl_file *f, gl_file_queue *q, gl_direction direction, size_t want) {
  gl_files *fs = f->files;
  if (!fs->ready && !(fs->ready = gl_ready_new(f->host))) return UV_ENOMEM;
  bool *wanted = direction == GL_READER ? &f->entry.in : &f->entry.out;
  *wanted = true;
  int err = gl_ready_wait(fs->ready, &f->entry, f->d.io);
  if (!err) {
    q->state = GL_QUEUE_POLLED;
    return GL_AGAIN;
  }
  *wanted = false;
  return err == -EPERM ? gl_file_start_pool(f, q, direction, want) : err; /* the descriptor cannot be polled */
}

static void resume_queue(gl_file *f, gl_direction direction) {
  f->queue[direction].state = GL_QUEUE_IDLE;
  gl_file_run_jobs(f, &f->queue[direction]);
}

static void on_ready(gl_ready_entry *w, bool in, bool out) {
  gl_file *f = GL_CONTAINER(w, gl_file, entry);
  gl_file_ref(f);
  if (in) resume_queue(f, GL_READER);
  if (out) resume_queue(f, GL_WRITER);
  if ((w->in || w->out) && f->d.fd >= 0) gl_ready_wait(f->files->ready, w, f->d.io); /* an event disarms both directions */
  gl_file_unref(f);
}

int gl_file_wait(gl_file *f, gl_direction direction, ssize_t why, size_t want) {
  if (!f->files) return UV_ECANCELED;
  if (f->d.seekable && f->out.len) direction = GL_WRITER; /* a read that follows a write writes first */
  gl_file_queue *q = gl_file_queue_of(f, direction);
  return why == GL_WAIT_READY ? start_polling(f, q, direction, want) : gl_file_start_pool(f, q, direction, want);
}

/* ---- jobs ---- */

bool gl_file_idle(const gl_file *f, gl_direction direction) {
  const gl_file_queue *q = gl_file_queue_of((gl_file *)(uintptr_t)f, direction);
  return !q->jobs.head && q->state == GL_QUEUE_IDLE;
}

/* Writes what is left though no job asks for it. */
static void write_on(gl_file *f, gl_file_queue *q) {
  if (q->state != GL_QUEUE_IDLE || q->jobs.head) return;
  if (!f->out.len) f->flush_requested = false;
  if (!f->out.len || !(f->flush_requested || f->closing) || q != gl_file_queue_of(f, GL_WRITER)) return;
  ssize_t err = gl_file_drain(f);
  if (err == GL_WAIT_READY || err == GL_WAIT_POOL) err = gl_file_wait(f, GL_WRITER, err, 0);
  if (err >= 0) return;
  f->error = (int)err;
  gl_file_wrote(f, &f->out, f->out.len);
}

void gl_file_run_jobs(gl_file *f, gl_file_queue *q) {
  gl_file_ref(f);
  while (q->state == GL_QUEUE_IDLE && q->jobs.head) {
    gl_filejob *j = (gl_filejob *)q->jobs.head;
    int status = j->step(j);
    if (status == GL_AGAIN) break;
    finish_job(q, status);
  }
  write_on(f, q);
  bool last = !f->standard || !f->files;
  if (f->closing && last && is_quiet(f) && !f->out.len) gl_file_close_descriptor(f);
  gl_file_unref(f);
}

void gl_file_start(gl_filejob *j, gl_file *f, gl_direction direction, int (*step)(gl_filejob *j)) {
  gl_file_queue *q = gl_file_queue_of(f, direction);
  gl_file_ref(f);
  j->file = f;
  j->direction = direction;
  j->step = step;
  gl_opqueue_push(&q->jobs, &j->op);
  if (q->jobs.head == &j->op) gl_file_run_jobs(f, q);
}

void gl_filejob_cancel(gl_op *op) {
  gl_filejob *j = (gl_filejob *)op;
  gl_file *f = j->file;
  gl_file_queue *q = gl_file_queue_of(f, j->direction);
  bool first = q->jobs.head == op;
  gl_opqueue_cancel(&q->jobs, op);
  if (!first) return;
  gl_file_stop_polling(f, q);
  if (j->direction == GL_WRITER) f->flush_requested = true; /* the bytes are written all the same */
  gl_file_run_jobs(f, q);
}

void gl_filejob_free(gl_op *op) {
  gl_filejob *j = (gl_filejob *)op;
  if (j->file) gl_file_unref(j->file);
}

void gl_file_flush_async(gl_file *f) {
  gl_file_queue *q = gl_file_queue_of(f, GL_WRITER);
  f->flush_requested = true;
  if (!q->jobs.head && q->state == GL_QUEUE_IDLE) gl_file_run_jobs(f, q);
}
