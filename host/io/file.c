/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/check.h"
#include "core/opqueue.h"
#include "core/prompt.h"

#define LIMIT 65536           /* of `out` */
#define FIRST 4096            /* the first read: most files are small */
#define STEP 65536            /* the others */
#define AT_ONCE (256 * 1024)  /* more than this is read on the pool, though it may be cached */
#define POOL_MAX (16 << 20)   /* one job of the pool */
#define SPARE_MAX (4 * LIMIT)
#define GRACE 5.0             /* seconds for a file that was let go of to be written out */
#define PROMISED 4096         /* PIPE_BUF: what a descriptor that is ready takes without blocking */

static gl_lane *lane_of(gl_file *f, gl_way way) {
  gl_descriptor_look(&f->d);
  return &f->lane[f->d.seekable ? GL_READER : way];
}

/* ---- life ---- */

static void on_ready(gl_ready_entry *w, bool in, bool out);
static void advance(gl_file *f, gl_lane *lane);
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
  f->watch.on_ready = on_ready;
  f->grace.fire = on_grace;
  f->standard = f->held = stream != NULL;
  f->buffering = GL_BUFFER_GUESS;
  f->limit = LIMIT;
  f->append = *mode == 'a';
  f->readable = *mode == 'r' || strchr(mode, '+');
  f->writable = *mode != 'r' || strchr(mode, '+');
  f->position = own ? 0 : -1;
  f->refs = 2; /* the caller's, and that of being open */
  f->next = fs->all;
  f->at = &fs->all;
  if (f->next) f->next->at = &f->next;
  fs->all = f;
  if (!f->standard) f->host->census.handles++;
  return f;
}

static void file_ref(gl_file *f) { f->refs++; }

void gl_file_unref(gl_file *f) {
  if (--f->refs > 0) return;
  *f->at = f->next;
  if (f->next) f->next->at = f->at;
  gl_buf_free(&f->in);
  gl_buf_free(&f->out);
  gl_buf_free(&f->spare);
  free(f);
}

static bool quiet(const gl_file *f) {
  for (int i = 0; i < 2; i++)
    if (f->lane[i].jobs.head || f->lane[i].busy) return false;
  return true;
}

/* The descriptor goes. Nobody is in there any more. */
static int shut(gl_file *f) {
  if (f->d.fd < 0) return 0;
  gl_timer_drop(&f->host->clock, &f->grace);
  if (f->files && f->files->ready) gl_ready_remove(f->files->ready, &f->watch, f->d.io);
  gl_descriptor_drop(&f->d);
  int err = f->standard || fclose(f->stream) == 0 ? 0 : -errno;
  if (!f->standard) f->host->census.handles--;
  gl_file_unref(f);
  return err;
}

static void finish(gl_lane *lane, int status) {
  gl_op_done(gl_opqueue_take(&lane->jobs), status);
}

/* Who waits for the descriptor waits no more; who is on the pool comes back by himself. */
static void stop_waiting(gl_file *f, gl_lane *lane) {
  if (!lane->busy || lane->pooled) return;
  lane->busy = false;
  if (lane == &f->lane[GL_READER]) f->watch.in = false;
  else f->watch.out = false;
}

static void fail_jobs(gl_file *f, gl_lane *lane) {
  while (lane->jobs.head) finish(lane, UV_EBADF);
  stop_waiting(f, lane);
}

int gl_file_close(gl_file *f) {
  file_ref(f);
  f->over = true;
  if (!f->d.seekable) fail_jobs(f, &f->lane[GL_READER]);
  bool busy = f->lane[GL_READER].busy || f->lane[GL_WRITER].busy;
  int err = busy ? 0 : shut(f); /* else by `advance`, when the pool is out of it */
  gl_file_unref(f);
  return err;
}

static void wrote(gl_file *f, gl_buf *from, size_t n) {
  gl_file_moved(f);
  f->written += n;
  gl_buf_eat(from, n);
}

/* Whoever reads takes nothing more: what is left of a file nobody has any more would keep it for ever. */
static void on_grace(gl_timer *timer) {
  gl_file *f = GL_CONTAINER(timer, gl_file, grace);
  gl_lane *writer = lane_of(f, GL_WRITER);
  wrote(f, &f->out, f->out.len);
  stop_waiting(f, writer);
  advance(f, writer);
}

void gl_file_retire(gl_file *f) {
  if (f->d.fd < 0) return;
  gl_lane *writer = lane_of(f, GL_WRITER);
  f->over = true;
  file_ref(f);
  if (f->files && f->d.polled && !f->standard) gl_timer_arm(&f->host->clock, &f->grace, GRACE);
  fail_jobs(f, &f->lane[GL_READER]);
  advance(f, writer);
  gl_file_unref(f);
}

/* ---- bytes in ---- */

/* How much is left of a regular file; at least one byte, so that the end is noticed. */
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

static void came(gl_file *f, ssize_t n) {
  if (n <= 0) return;
  gl_buf_grew(&f->in, (size_t)n);
  if (f->position >= 0) f->position += n;
}

static size_t chunk(gl_file *f, size_t want) {
  if (want == SIZE_MAX) want = remaining(f);
  bool small = !f->fills++ || (f->d.size && f->position >= f->d.size); /* at the end of a file little more is to be expected */
  size_t least = small && !f->d.polled ? FIRST : STEP;
  if (f->standard && f->d.polled) least = FIRST; /* no more than stock: who comes after us may read what we leave */
  return want > least ? want : least;
}

ssize_t gl_file_fill(gl_file *f, size_t want) {
  if (!f->readable || f->d.fd < 0) return -EBADF;
  gl_descriptor_look(&f->d);
  if (f->ended) {
    f->ended = false;
    return f->met;
  }
  if (f->d.seekable && f->out.len) {
    ssize_t err = gl_file_drain(f);
    if (err) return err;
  }
  size_t n = chunk(f, want);
  if (n > AT_ONCE && f->d.seekable) return GL_WAIT_POOL;
  if (n > AT_ONCE) n = AT_ONCE;
  char *room = gl_buf_room(&f->in, n);
  if (!room) return -ENOMEM;
  ssize_t got = gl_descriptor_read(&f->d, room, n);
  came(f, got);
  f->at_end = f->fills == 1 && f->d.size > 0 && f->position == f->d.size && (size_t)got < n; /* its size is known since a moment ago */
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
    wrote(f, &f->out, n > 0 ? (size_t)n : f->out.len); /* what an error kept from being written is lost */
    if (n <= 0) return n ? n : -EIO;
  }
  f->kick = false;
  return 0;
}

/* ---- the pool ---- */

static void run_read(gl_file *f, gl_lane *lane) {
  size_t len = 0;
  ssize_t got;
  do {
    got = gl_descriptor_read_now(&f->d, lane->room + len, lane->want - len);
    if (got > 0) len += (size_t)got;
  } while (got > 0 && len < lane->want && !f->d.polled);
  lane->result = got < 0 && !len ? got : (ssize_t)len;
}

static void run_write(gl_file *f, gl_lane *lane) {
  const char *at = gl_buf_at(&lane->bytes);
  size_t len = lane->bytes.len, done = 0;
  if (f->d.polled && len > PROMISED) len = PROMISED;
  ssize_t n = 0;
  while (done < len && (n = gl_descriptor_write_now(&f->d, at + done, len - done)) > 0) done += (size_t)n;
  lane->result = n < 0 ? n : (ssize_t)done;
}

static gl_file *file_of(gl_lane *lane) { return lane->req.data; }

static void on_thread(uv_work_t *req) {
  gl_lane *lane = GL_CONTAINER(req, gl_lane, req);
  if (lane->room) run_read(file_of(lane), lane);
  else run_write(file_of(lane), lane);
  atomic_store(&lane->ran, true);
}

/* What the pool has left of the bytes it took comes before those accepted since. */
static void give_back(gl_file *f, gl_buf *rest) {
  if (rest->len && gl_buf_add(rest, f->out.len ? gl_buf_at(&f->out) : "", f->out.len)) {
    gl_buf swap = f->out;
    f->out = *rest;
    *rest = swap;
  } else if (rest->len) {
    f->written += rest->len;
    f->error = UV_ENOMEM;
  } else if (rest->cap <= SPARE_MAX && !f->spare.data) {
    gl_buf swap = f->spare;
    f->spare = *rest;
    *rest = swap;
  }
  gl_buf_free(rest);
}

/* Take over what the pool did. Harmless when there is nothing left to take. */
static void settle_write(gl_file *f, gl_lane *lane) {
  if (!lane->bytes.len) return;
  ssize_t n = lane->result;
  wrote(f, &lane->bytes, n >= 0 ? (size_t)n : lane->bytes.len);
  if (n < 0) f->error = (int)n;
  give_back(f, &lane->bytes);
}

/* The end of a regular file is news for who asked only: it may grow. */
static void settle_read(gl_file *f, gl_lane *lane) {
  came(f, lane->result);
  f->ended = lane->result <= 0 && (lane->jobs.head || f->d.polled);
  f->met = (int)lane->result;
}

static void on_pool(uv_work_t *req, int status) {
  gl_lane *lane = GL_CONTAINER(req, gl_lane, req);
  gl_file *f = file_of(lane);
  if (status < 0) lane->result = status;
  if (!lane->room) settle_write(f, lane);
  else settle_read(f, lane);
  lane->busy = lane->pooled = false;
  advance(f, lane);
  gl_file_unref(f);
}

static int start_pool(gl_file *f, gl_lane *lane, gl_way way, size_t want) {
  lane->room = NULL;
  if (way == GL_READER) {
    lane->want = chunk(f, want);
    if (f->d.polled && !f->standard) lane->want = STEP;
    if (lane->want > POOL_MAX) lane->want = POOL_MAX;
    lane->room = gl_buf_room(&f->in, lane->want);
    if (!lane->room) return UV_ENOMEM;
  } else {
    lane->bytes = f->out;
    f->out = f->spare;
    f->spare = (gl_buf){0};
  }
  lane->busy = lane->pooled = true;
  lane->req.data = f;
  atomic_store(&lane->ran, false);
  file_ref(f);
  uv_queue_work(&f->host->loop, &lane->req, on_thread, on_pool);
  return GL_AGAIN;
}

/* ---- readiness ---- */

static int start_watch(gl_file *f, gl_lane *lane, gl_way way, size_t want) {
  gl_files *fs = f->files;
  if (!fs->ready && !(fs->ready = gl_ready_new(f->host))) return UV_ENOMEM;
  bool *wanted = way == GL_READER ? &f->watch.in : &f->watch.out;
  *wanted = true;
  int err = gl_ready_wait(fs->ready, &f->watch, f->d.io);
  if (!err) {
    lane->busy = true;
    return GL_AGAIN;
  }
  *wanted = false;
  return err == -EPERM ? start_pool(f, lane, way, want) : err; /* not a thing to be polled */
}

static void wake(gl_file *f, gl_way way) {
  f->lane[way].busy = false;
  advance(f, &f->lane[way]);
}

static void on_ready(gl_ready_entry *w, bool in, bool out) {
  gl_file *f = GL_CONTAINER(w, gl_file, watch);
  file_ref(f);
  if (in) wake(f, GL_READER);
  if (out) wake(f, GL_WRITER);
  if ((w->in || w->out) && f->d.fd >= 0) gl_ready_wait(f->files->ready, w, f->d.io); /* once means both ways */
  gl_file_unref(f);
}

int gl_file_wait(gl_file *f, gl_way way, ssize_t why, size_t want) {
  if (!f->files) return UV_ECANCELED;
  if (f->d.seekable && f->out.len) way = GL_WRITER; /* a read that comes after a write */
  gl_lane *lane = lane_of(f, way);
  return why == GL_WAIT_READY ? start_watch(f, lane, way, want) : start_pool(f, lane, way, want);
}

/* ---- lanes ---- */

bool gl_file_idle(const gl_file *f, gl_way way) {
  const gl_lane *lane = lane_of((gl_file *)(uintptr_t)f, way);
  return !lane->jobs.head && !lane->busy;
}

/* Nobody asks, and yet there is something to be written. */
static void go_on_writing(gl_file *f, gl_lane *lane) {
  if (!f->out.len && !lane->busy) f->kick = false;
  if (lane->jobs.head || lane->busy || !f->out.len || !(f->kick || f->over) || lane != lane_of(f, GL_WRITER)) return;
  ssize_t err = gl_file_drain(f);
  if (err == GL_WAIT_READY || err == GL_WAIT_POOL) err = gl_file_wait(f, GL_WRITER, err, 0);
  if (err >= 0) return;
  f->error = (int)err;
  wrote(f, &f->out, f->out.len);
}

static void advance(gl_file *f, gl_lane *lane) {
  file_ref(f);
  while (!lane->busy && lane->jobs.head) {
    gl_filejob *j = (gl_filejob *)lane->jobs.head;
    int status = j->step(j);
    if (status == GL_AGAIN) break;
    finish(lane, status);
  }
  go_on_writing(f, lane);
  bool last = !f->standard || !f->files;
  if (f->over && last && quiet(f) && !f->out.len) shut(f);
  gl_file_unref(f);
}

void gl_file_start(gl_filejob *j, gl_file *f, gl_way way, int (*step)(gl_filejob *j)) {
  gl_lane *lane = lane_of(f, way);
  file_ref(f);
  j->file = f;
  j->way = way;
  j->step = step;
  gl_opqueue_push(&lane->jobs, &j->op);
  if (lane->jobs.head == &j->op) advance(f, lane);
}

void gl_filejob_cancel(gl_op *op) {
  gl_filejob *j = (gl_filejob *)op;
  gl_file *f = j->file;
  gl_lane *lane = lane_of(f, (gl_way)j->way);
  bool first = lane->jobs.head == op;
  gl_opqueue_cancel(&lane->jobs, op);
  if (!first) return;
  stop_waiting(f, lane);
  if (j->way == GL_WRITER) f->kick = true; /* what it wanted written is written all the same */
  advance(f, lane);
}

void gl_filejob_free(gl_op *op) {
  gl_filejob *j = (gl_filejob *)op;
  if (j->file) gl_file_unref(j->file);
}

void gl_file_kick(gl_file *f) {
  gl_lane *lane = lane_of(f, GL_WRITER);
  f->kick = true;
  if (!lane->jobs.head && !lane->busy) advance(f, lane);
}

/* ---- now, whatever it takes ---- */

/* The pool has bytes that come before ours: take them back, or wait until they are out. */
static void recall(gl_file *f, gl_lane *lane) {
  if (!lane->pooled || lane->room || !lane->bytes.len) return;
  if (uv_cancel((uv_req_t *)&lane->req) == 0) {
    lane->result = 0;
  } else {
    struct timespec nap = {0, 100000};
    while (!atomic_load(&lane->ran)) nanosleep(&nap, NULL);
  }
  settle_write(f, lane);
}

int gl_file_flush_now(gl_file *f) {
  if (f->d.fd < 0) return 0;
  recall(f, lane_of(f, GL_WRITER));
  gl_file_rewind(f);
  int err = f->error;
  f->error = 0;
  if (f->d.terminal && f->out.len) gl_prompt_hide(f->host, gl_buf_at(&f->out)[f->out.len - 1] == '\n');
  while (f->out.len) {
    ssize_t n = gl_descriptor_write_now(&f->d, gl_buf_at(&f->out), f->out.len);
    wrote(f, &f->out, n > 0 ? (size_t)n : f->out.len);
    if (n <= 0) err = n ? (int)n : UV_EIO;
  }
  return err;
}

void gl_files_give_back(gl_files *fs) {
  gl_file *f = fs->standard[STDIN_FILENO];
  if (gl_file_idle(f, GL_READER) && !f->pushing && f->d.fd >= 0) gl_file_rewind(f);
}

void gl_files_flush_now(gl_files *fs) {
  gl_files_give_back(fs);
  for (gl_file *f = fs->all; f; f = f->next) {
    bool given_up = f->over && f->d.polled; /* it would not take it before, and may never */
    if (given_up) gl_file_drain(f);
    else if (f->out.len || f->lane[GL_WRITER].pooled || f->lane[GL_READER].pooled) gl_file_flush_now(f);
  }
}

void gl_files_flush(gl_files *fs, bool all) {
  for (gl_file *f = fs->all, *next; f; f = next) {
    next = f->next;
    bool pooled = f->lane[GL_WRITER].pooled || f->lane[GL_READER].pooled;
    if (!(f->kick || pooled || (all && f->out.len))) continue;
    bool reading = f->lane[GL_READER].pooled && f->lane[GL_READER].room;
    if (f->d.known && f->d.seekable && !reading) gl_file_flush_now(f);
    else gl_file_kick(f);
  }
}

/* ---- in a forked child ---- */

/* What the parent was writing, it goes on writing; what it only had accepted is everybody's, as with stdio. */
static void reset(gl_file *f) {
  gl_lane *writer = lane_of(f, GL_WRITER);
  bool writing = f->kick || f->over || writer->busy || writer->jobs.head;
  for (int i = 0; i < 2; i++) {
    gl_lane *lane = &f->lane[i];
    wrote(f, &lane->bytes, lane->bytes.len);
    gl_buf_free(&lane->bytes);
    lane->jobs = (gl_opqueue){0};
    lane->busy = lane->pooled = false;
  }
  if (writing) wrote(f, &f->out, f->out.len);
  f->kick = false;
  f->watch.known = f->watch.in = f->watch.out = false;
}

static void on_forked(struct gl_fork_hook *hook) {
  gl_files *fs = GL_CONTAINER(hook, gl_files, fork);
  for (gl_file *f = fs->all; f; f = f->next) reset(f);
  if (fs->ready) gl_ready_forked(fs->ready);
}

static void on_leave(struct gl_fork_hook *hook) { gl_files_flush_now(GL_CONTAINER(hook, gl_files, fork)); }

/* ---- all of them ---- */

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

/* Files whose read is on the pool are closed when that returns. A value made while the state was closing is never
 * finalized: what it held is let go of here. */
void gl_files_free(gl_files *fs) {
  gl_fork_remove(fs->host, &fs->fork);
  gl_files_flush_now(fs);
  for (gl_file *f = fs->all, *next; f; f = next) {
    next = f->next;
    f->over = true;
    if (fs->ready) gl_ready_remove(fs->ready, &f->watch, f->d.io);
    for (int i = 0; i < 2; i++) stop_waiting(f, &f->lane[i]);
    f->files = NULL;
    f->next = NULL; /* the list is no more */
    f->at = &f->next;
    bool held = f->held;
    if (!f->lane[GL_READER].busy && !f->lane[GL_WRITER].busy) shut(f);
    if (held) gl_file_unref(f);
  }
  if (fs->ready) gl_ready_free(fs->ready);
  free(fs);
}
