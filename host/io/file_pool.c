/* SPDX-License-Identifier: MIT
 *
 * What a file leaves to the thread pool: to read what is in no cache, and to write where the kernel cannot be asked not to wait. A
 * queue has one piece of work there at most. on_thread touches the queue's pool members and the descriptor, nothing else.
 */
#include <stdlib.h>
#include <time.h>

#include "core/check.h"
#include "io/file.h"

#define WORK_MAX (16 << 20)            /* bytes of one piece of work */
#define POLLED_STEP 65536              /* bytes read at once from a pipe */
#define PROMISED 4096                  /* PIPE_BUF: what a descriptor that is ready takes without blocking */
#define SPARE_MAX ((size_t)256 * 1024) /* a larger buffer is freed rather than kept */

static gl_file *file_of(gl_file_queue *q) { return q->req.data; }

/* ---- on a pool thread ---- */

static void run_read(gl_file *f, gl_file_queue *q) {
  size_t len = 0;
  ssize_t got;
  do {
    got = gl_descriptor_read_sync(&f->d, q->reading + len, q->want - len);
    if (got > 0) len += (size_t)got;
  } while (got > 0 && len < q->want && !f->d.polled);
  q->result = got < 0 && !len ? got : (ssize_t)len;
}

static void run_write(gl_file *f, gl_file_queue *q) {
  const char *at = gl_buf_at(&q->writing);
  size_t len = q->writing.len, done = 0;
  if (f->d.polled && len > PROMISED) len = PROMISED;
  ssize_t n = 0;
  while (done < len && (n = gl_descriptor_write_sync(&f->d, at + done, len - done)) > 0) done += (size_t)n;
  q->result = n < 0 ? n : (ssize_t)done;
}

static void on_thread(uv_work_t *req) {
  gl_file_queue *q = GL_CONTAINER(req, gl_file_queue, req);
  if (q->reading) run_read(file_of(q), q);
  else run_write(file_of(q), q);
  atomic_store(&q->ran, true);
}

/* ---- back on the loop ---- */

static void swap(gl_buf *a, gl_buf *b) {
  gl_buf was = *a;
  *a = *b;
  *b = was;
}

/* The bytes that the pool has not written come before those accepted since. The memory of none becomes the spare one. */
static void put_back(gl_file *f, gl_buf *rest) {
  if (rest->len && gl_buf_add(rest, f->out.len ? gl_buf_at(&f->out) : "", f->out.len)) {
    swap(&f->out, rest);
  } else if (rest->len) {
    f->written += rest->len;
    f->error = UV_ENOMEM;
  } else if (rest->cap <= SPARE_MAX && !f->spare.data) {
    swap(&f->spare, rest);
  }
  gl_buf_free(rest);
}

/* Takes over what the pool has written. No-op when gl_file_recall_pool has done so. */
static void take_written(gl_file *f, gl_file_queue *q) {
  if (!q->writing.len) return;
  ssize_t n = q->result;
  gl_file_wrote(f, &q->writing, n >= 0 ? (size_t)n : q->writing.len);
  if (n < 0) f->error = (int)n;
  put_back(f, &q->writing);
}

/* Takes over what the pool has read. The end of a regular file is news for a job that waits for it only: the file may grow. */
static void take_read(gl_file *f, gl_file_queue *q) {
  gl_file_came(f, q->result);
  f->read_ended = q->result <= 0 && (q->jobs.head || f->d.polled);
  f->read_status = (int)q->result;
}

static void on_pool(uv_work_t *req, int status) {
  gl_file_queue *q = GL_CONTAINER(req, gl_file_queue, req);
  gl_file *f = file_of(q);
  if (status < 0) q->result = status;
  if (q->reading) take_read(f, q);
  else take_written(f, q);
  q->state = GL_QUEUE_IDLE;
  gl_file_run_jobs(f, q);
  gl_file_unref(f);
}

/* ---- start ---- */

static bool prepare_read(gl_file *f, gl_file_queue *q, size_t want) {
  q->want = gl_file_read_size(f, want);
  if (f->d.polled && !f->standard) q->want = POLLED_STEP;
  if (q->want > WORK_MAX) q->want = WORK_MAX;
  q->reading = gl_buf_room(&f->in, q->want);
  return q->reading != NULL;
}

static void prepare_write(gl_file *f, gl_file_queue *q) {
  q->reading = NULL;
  q->writing = f->out;
  f->out = f->spare;
  f->spare = (gl_buf){0};
}

int gl_file_start_pool(gl_file *f, gl_file_queue *q, gl_direction direction, size_t want) {
  if (direction == GL_WRITER) prepare_write(f, q);
  else if (!prepare_read(f, q, want)) return UV_ENOMEM;
  q->state = GL_QUEUE_POOLED;
  q->req.data = f;
  atomic_store(&q->ran, false);
  gl_file_ref(f);
  uv_queue_work(&f->host->loop, &q->req, on_thread, on_pool); /* fails only without a callback */
  return GL_AGAIN;
}

void gl_file_recall_pool(gl_file *f, gl_file_queue *q) {
  if (q->state != GL_QUEUE_POOLED || q->reading || !q->writing.len) return;
  if (uv_cancel((uv_req_t *)&q->req) == 0) {
    q->result = 0;
  } else {
    struct timespec nap = {0, 100000};
    while (!atomic_load(&q->ran)) nanosleep(&nap, NULL);
  }
  take_written(f, q);
}
