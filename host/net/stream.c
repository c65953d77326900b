/* SPDX-License-Identifier: MIT */
#include "net/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/check.h"
#include "net/file_out.h"

#define SHARE_MIN ((size_t)1024)     /* fewer bytes are copied for less than they are shared */
#define GATHER 16                    /* segments written at once */

/* Bytes libuv holds on to because the kernel took only a part. */
struct gl_write {
  uv_write_t req;
  gl_output output;
};

static void drop_output(gl_stream *s) {
  gl_buf_free(&s->plain);
  gl_output_free(&s->output);
  if (s->file) gl_file_out_drop(s);
}

/* In a forked child, before anything else: what there is of output is the parent's, and its loop does the reading. */
static void enter(gl_stream *s) {
  if (s->used_in == s->host->process) return;
  s->used_in = s->host->process;
  s->reading = false;
  if (s->write || s->file || s->user->served) s->broken = true;
  drop_output(s);
}

static void stream_free(gl_stream *s) {
  if (s->filter) s->filter->free(s);
  drop_output(s);
  free(s);
}

static void tell_drained(gl_stream *s) {
  if (s->closing || !s->full || (!gl_stream_is_mute(s) && (s->write || s->file || s->plain.len || gl_output_len(&s->output)))) return;
  s->full = false;
  s->user->drained(s);
}

static void on_turn(gl_turn_hook *turn) {
  gl_stream *s = GL_CONTAINER(turn, gl_stream, turn);
  if (s->gone) {
    stream_free(s);
  } else {
    gl_stream_flush(s);
    if (s->filter) tell_drained(s); /* it may have waited for the filter, not for the kernel */
  }
}

gl_stream *gl_stream_new(gl_host *h, int family, const gl_stream_user *user, void *owner) {
  gl_stream *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->host = h;
  s->user = user;
  s->owner = owner;
  s->turn.run = on_turn;
  s->made_in = s->used_in = h->process;
  if (family == AF_UNIX) uv_pipe_init(&h->loop, &s->uv.pipe, 0);
  else uv_tcp_init(&h->loop, &s->uv.tcp);
  s->uv.handle.data = s;
  h->census.handles++;
  return s;
}

/* ---- closing ---- */

static void stop_reading(gl_stream *s) {
  if (s->reading) uv_read_stop(&s->uv.stream);
  s->reading = false;
}

static void stop_watching(gl_stream *s) {
  if (s->hangup) gl_hangup_drop(s->hangup);
  s->hangup = NULL;
}

static void on_closed(uv_handle_t *handle) {
  gl_stream *s = handle->data;
  s->user->closed(s);
  s->host->census.handles--;
  GL_CHECK(!s->write);  /* libuv ends every write before it closes the handle */
  s->gone = true;
  if (!gl_turn_is_queued(s->host, &s->turn)) stream_free(s); /* else when its turn comes */
}

void gl_stream_close(gl_stream *s) {
  if (s->closing) return;
  s->closing = true;
  stop_watching(s);
  drop_output(s);
  if (s->file) stop_reading(s); /* its job uses the descriptor: gl_stream_resume closes */
  else uv_close(&s->uv.handle, on_closed);
}

void gl_stream_reset(gl_stream *s) {
  uv_os_fd_t fd;
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (!s->closing && !gl_stream_is_foreign(s) && uv_fileno(&s->uv.handle, &fd) == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  gl_stream_close(s);
}

void gl_stream_end(gl_stream *s, int status) {
  if (s->ended || s->closing) return;
  stop_reading(s);
  stop_watching(s);
  s->ended = true;
  s->user->end(s, status);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
  (void)hint;
  gl_stream *s = handle->data;
  *buf = uv_buf_init(s->host->scratch, GL_SCRATCH);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf) {
  gl_stream *s = handle->data;
  uv_os_fd_t fd;
  if (n == UV_EOF && uv_fileno(&s->uv.handle, &fd) == 0) n = gl_hangup_reason(fd);
  if (n > 0) {
    if (s->filter) s->filter->received(s, buf->base, (size_t)n);
    else s->user->data(s, buf->base, (size_t)n);
  } else if (n < 0) {
    stop_reading(s);
    if (s->filter) s->filter->ended(s, (int)n);
    else gl_stream_end(s, (int)n);
  }
}

int gl_stream_read(gl_stream *s) {
  enter(s);
  if (s->reading || s->ended || s->closing) return 0;
  stop_watching(s);
  int err = uv_read_start(&s->uv.stream, on_alloc, on_read);
  s->reading = err == 0;
  return err;
}

static void hang_up(void *arg) {
  gl_stream *s = arg;
  s->hung_up = true;
  gl_stream_read(s);
}

void gl_stream_pause(gl_stream *s) {
  uv_os_fd_t fd;
  if (!s->reading || s->hung_up) return;
  stop_reading(s);
  if (s->user->wants_end && uv_fileno(&s->uv.handle, &fd) == 0) s->hangup = gl_hangup_watch(s->host, fd, hang_up, s);
}

/* ---- writing ---- */

static void break_all(gl_stream *s, int status) {
  s->broken = true;
  drop_output(s);
  stop_reading(s);
  if (s->filter) s->filter->ended(s, status);
  else gl_stream_end(s, status);
}

/* Writing failed. */
static void break_off(gl_stream *s, int status) {
  if (!s->hears_out || s->ended || status == UV_ENOMEM) {
    break_all(s, status);
    return;
  }
  s->mute = true; /* reading finds the end */
  drop_output(s);
}

void gl_stream_break(gl_stream *s, int status) {
  if (s->broken || s->closing) return;
  enter(s);
  gl_buf *last = &s->output.first; /* an alert, for one */
  uv_buf_t buf = uv_buf_init(gl_buf_at(last), (unsigned)last->len);
  uv_os_fd_t fd;
  if (last->len && !s->write) uv_try_write(&s->uv.stream, &buf, 1);
  if (!gl_stream_is_foreign(s) && uv_fileno(&s->uv.handle, &fd) == 0) shutdown(fd, SHUT_WR); /* the other side need not wait until we are closed */
  break_all(s, status);
  gl_stream_touch(s); /* it may have to be closed, and who waits for room has to be told */
}

static void on_shutdown(uv_shutdown_t *req, int status) {
  (void)status;
  free(req);
}

static void finish_now(gl_stream *s) {
  bool shut_only = s->after_output == GL_THEN_SHUT && !s->broken && !s->mute;
  s->after_output = GL_THEN_NOTHING;
  if (!shut_only) {
    gl_stream_close(s);
    return;
  }
  if (s->shut) return;
  s->shut = true;
  uv_shutdown_t *req = malloc(sizeof *req);
  if (!req || uv_shutdown(req, &s->uv.stream, on_shutdown) != 0) {
    free(req);
    gl_stream_close(s);
  }
}

void gl_stream_resume(gl_stream *s, int status) {
  if (s->closing) {
    uv_close(&s->uv.handle, on_closed);
    return;
  }
  if (status < 0) break_off(s, status);
  gl_stream_flush(s); /* also of a broken stream, which may have to be closed now */
  tell_drained(s);
}

static void write_free(gl_write *w) {
  gl_output_free(&w->output);
  free(w);
}

static void on_write(uv_write_t *req, int status) {
  gl_write *w = req->data;
  gl_stream *s = req->handle->data;
  s->write = NULL;
  s->taken += s->in_flight;
  write_free(w);
  if (!s->closing) gl_stream_resume(s, status);
}

/* Gives libuv what the kernel did not take; libuv waits for the socket. */
static int queue_write(gl_stream *s, gl_write *w) {
  size_t bytes;
  unsigned n = gl_output_count(&w->output);
  uv_buf_t *bufs = calloc(n, sizeof *bufs);
  if (!bufs) return UV_ENOMEM;
  gl_output_buffers(&w->output, bufs, n, &bytes);
  w->req.data = w;
  s->write = w;
  int err = uv_write(&w->req, &s->uv.stream, bufs, n, on_write); /* has copied the array when it returns */
  free(bufs);
  return err;
}

static void start_write(gl_stream *s) {
  gl_write *w = calloc(1, sizeof *w);
  if (!w) {
    break_off(s, UV_ENOMEM);
    return;
  }
  w->output = s->output;
  s->in_flight = gl_output_len(&s->output);
  s->output = (gl_output){0};
  int err = queue_write(s, w);
  if (err) {
    s->write = NULL;
    write_free(w);
    break_off(s, err);
  } else if (s->user->blocked) {
    s->user->blocked(s);
  }
}

static void send_output(gl_stream *s) {
  uv_buf_t bufs[GATHER];
  size_t asked;
  unsigned nbufs = gl_output_buffers(&s->output, bufs, GATHER, &asked);
  int n = uv_try_write(&s->uv.stream, bufs, nbufs);
  if (n >= 0) {
    gl_output_eat(&s->output, (size_t)n);
    s->taken += (uint64_t)n;
  }
  if (n < 0 && n != UV_EAGAIN) break_off(s, n);
  else if (n < 0 || (size_t)n < asked) start_write(s);
  if (!s->output.first.len) gl_buf_leave(&s->output.first, &s->host->spare_output); /* an idle connection holds no buffer */
}

/* Is there something to send? A filter is asked for its next piece. */
static bool fill(gl_stream *s) {
  if (s->filter && !s->output.first.len && !s->shut) s->filter->fill(s);
  return !s->broken && !s->mute && gl_output_len(&s->output) > 0;
}

void gl_stream_flush(gl_stream *s) {
  enter(s);
  if (s->closing || s->write) return;
  while (!gl_stream_is_mute(s) && !s->write && fill(s)) send_output(s);
  if (s->file && !gl_stream_is_mute(s)) gl_file_out_go_on(s);
  bool held = s->held && s->after_output == GL_THEN_SHUT && !s->broken;
  if (s->after_output && !s->write && !s->file && !s->plain.len && !held) finish_now(s);
}

void gl_stream_touch(gl_stream *s) {
  if (!s->closing) gl_at_turn_end(s->host, &s->turn);
}

/* Where what the user writes goes. NULL: out of memory. */
static gl_buf *input(gl_stream *s) {
  gl_buf *to = s->filter ? &s->plain : gl_output_end(&s->output);
  if (to) gl_buf_reuse(to, &s->host->spare_output);
  return to;
}

/* `n` bytes were added to the input. */
static void grown(gl_stream *s, size_t n) {
  if (!s->filter) gl_output_grew(&s->output, n);
  s->written += n;
  gl_at_turn_end(s->host, &s->turn);
}

char *gl_stream_room(gl_stream *s, size_t n) {
  enter(s);
  gl_buf *to = input(s);
  if (!to || n > GL_OUTPUT_MAX - to->len) return NULL;
  return gl_buf_room(to, n);
}

void gl_stream_wrote(gl_stream *s, size_t n) {
  gl_buf *to = input(s); /* the same: there is room */
  if (!to) return;
  if (gl_stream_is_mute(s)) {
    drop_output(s);
    return;
  }
  gl_buf_grew(to, n);
  grown(s, n);
}

bool gl_stream_write(gl_stream *s, const void *bytes, size_t n) {
  enter(s);
  if (gl_stream_is_mute(s)) return true; /* thrown away: the end was or will be told */
  gl_buf *to = input(s);
  if (!to || n > GL_OUTPUT_MAX - to->len || !gl_buf_add(to, bytes, n)) {
    break_off(s, UV_ENOMEM);
    return false;
  }
  grown(s, n);
  return true;
}

bool gl_stream_share(gl_stream *s, gl_bytes *bytes, size_t at, size_t n) {
  if (s->filter || n < SHARE_MIN || n > GL_OUTPUT_MAX) return gl_stream_write(s, bytes->at + at, n);
  enter(s);
  if (gl_stream_is_mute(s)) return true;
  if (!gl_output_share(&s->output, bytes, at, n)) {
    break_off(s, UV_ENOMEM);
    return false;
  }
  s->written += n;
  gl_at_turn_end(s->host, &s->turn);
  return true;
}

void gl_stream_adopt(gl_stream *s, gl_buf *bytes) {
  gl_buf *to = input(s);
  size_t n = bytes->len;
  if (!n || !to) return;
  gl_buf_free(to);
  *to = *bytes;
  *bytes = (gl_buf){0};
  grown(s, n);
}

bool gl_stream_retract(gl_stream *s, uint64_t mark, char *into) {
  size_t n = (size_t)(s->written - mark);
  bool there = s->filter ? gl_buf_retract(&s->plain, n, into) : gl_output_retract(&s->output, n, into);
  if (!there) return false;
  s->written = mark;
  if (s->file) gl_file_out_drop(s); /* it was written after those bytes, and has not begun */
  return true;
}

size_t gl_stream_pending(const gl_stream *s) { return s->plain.len + gl_output_len(&s->output) + uv_stream_get_write_queue_size(&s->uv.stream); }

bool gl_stream_full(gl_stream *s) {
  if (gl_stream_is_mute(s) || (!s->file && gl_stream_pending(s) <= GL_STREAM_HIGH)) return false;
  gl_stream_flush(s); /* the kernel may well take it now */
  s->full = !gl_stream_is_mute(s) && (s->file || gl_stream_pending(s) > 0);
  return s->full;
}

void gl_stream_finish(gl_stream *s, bool half) {
  if (s->closing) return;
  enter(s);
  if (gl_stream_is_foreign(s) && s->write) { /* nobody here will hear that it is over */
    gl_stream_close(s);
    return;
  }
  s->after_output = half ? GL_THEN_SHUT : GL_THEN_CLOSE;
  gl_at_turn_end(s->host, &s->turn);
}
