/* SPDX-License-Identifier: MIT */
#include "process/pipe.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/check.h"
#include "core/error.h"

#define READ "process.read"
#define IN_HIGH ((size_t)256 * 1024) /* bytes that nobody asked for: with more, the other process waits */

/* ---- life ---- */

void gl_pipe_unref(gl_pipe *p) {
  if (--p->refs > 0) return;
  gl_buf_free(&p->in);
  free(p);
}

static void on_closed(uv_handle_t *handle) {
  gl_pipe *p = handle->data;
  p->host->census.handles--;
  gl_pipe_unref(p);
}

void gl_pipe_close(gl_pipe *p) {
  if (p->closing) return;
  p->closing = true;
  p->reading = false;
  if (!p->ended) p->ended = UV_ECANCELED;
  uv_close(&p->uv.handle, on_closed);
  p->news(p);
}

static void pause_reading(gl_pipe *p) {
  if (!p->reading) return;
  p->reading = false;
  uv_read_stop(&p->uv.stream);
}

/* The `news` of a pipe that Lua reads. */
static void look(gl_pipe *p);

int gl_pipe_open(gl_host *h, bool writes, gl_pipe **out, int *theirs) {
  int fds[2];
  int err = uv_pipe(fds, writes ? 0 : UV_NONBLOCK_PIPE, writes ? UV_NONBLOCK_PIPE : 0);
  if (err) return err;
  int ours = fds[writes];
  gl_pipe *p = calloc(1, sizeof *p);
  if (!p) {
    close(fds[0]);
    close(fds[1]);
    return UV_ENOMEM;
  }
  p->host = h;
  p->news = look;
  p->writes = writes;
  p->refs = 2; /* the caller's, the handle's */
  uv_pipe_init(&h->loop, &p->uv.pipe, 0);
  p->uv.handle.data = p;
  h->census.handles++;
  *out = p;
  *theirs = fds[!writes];
  err = uv_pipe_open(&p->uv.pipe, ours);
  if (!err) return 0;
  close(ours);
  close(*theirs);
  gl_pipe_close(p);
  gl_pipe_unref(p);
  *out = NULL;
  *theirs = -1;
  return err;
}

/* ---- what arrives ---- */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
  (void)hint;
  *buf = uv_buf_init(((gl_pipe *)handle->data)->host->scratch, GL_SCRATCH);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  gl_pipe *p = stream->data;
  if (n == 0) return;
  if (n > 0 && !gl_buf_add(&p->in, buf->base, (size_t)n)) {
    gl_buf_free(&p->in); /* nobody can have all of it any more, and others need the memory */
    n = UV_ENOMEM;
  }
  if (n < 0) {
    pause_reading(p);
    p->ended = (int)n;
  }
  p->news(p);
}

int gl_pipe_start(gl_pipe *p) {
  if (p->reading || p->ended || p->closing) return 0;
  int err = uv_read_start(&p->uv.stream, on_alloc, on_read);
  p->reading = err == 0;
  return err;
}

/* ---- reading from Lua ---- */

typedef struct read_op {
  gl_op op;
  gl_pipe *pipe;
  size_t some;
  gl_formats formats; /* of which there may be more */
} read_op;

static bool answers(read_op *r) {
  const gl_pipe *p = r->pipe;
  if (r->some) return p->in.len || p->ended;
  return gl_formats_scan(&r->formats, p->in.len ? gl_buf_at(&p->in) : "", p->in.len, p->ended != 0);
}

static void look(gl_pipe *p) {
  gl_op *op = p->reader;
  if (op && op->done) op = NULL;
  if (!op && p->in.len > IN_HIGH) pause_reading(p);
  if (op && answers((read_op *)op)) gl_op_done(op, 0);
}

/* Says whether the read found the error that ended the pipe, and not a value. */
static bool failed(const read_op *r) {
  if (!r->pipe->ended || r->pipe->ended == UV_EOF) return false;
  if (r->some) return !r->pipe->in.len;
  const gl_format *last = &r->formats.item[r->formats.done - 1];
  return !last->ok && last->kind != GL_READ_BAD;
}

static int push_some(lua_State *L, gl_buf *in, size_t some) {
  size_t n = in->len < some ? in->len : some;
  if (n) lua_pushlstring(L, gl_buf_at(in), n);
  else lua_pushnil(L);
  gl_buf_eat(in, n);
  return 1;
}

static int push_formats(lua_State *L, gl_buf *in, const gl_formats *formats) {
  const char *bytes = in->len ? gl_buf_at(in) : "";
  gl_buf_eat(in, formats->pos); /* also when the next argument turns out to be wrong */
  int n = gl_formats_push(L, formats, bytes);
  gl_formats_refuse(L, formats);
  return n;
}

/* `reader` is this op until here: what was found must still be at the front of the buffer. */
static int push_read(lua_State *L, gl_op *op) {
  read_op *r = (read_op *)op;
  gl_pipe *p = r->pipe;
  p->reader = NULL;
  if (op->status < 0) return gl_error_status(L, READ, op->status, NULL);
  if (failed(r)) return gl_error_status(L, READ, p->ended, NULL);
  int n = r->some ? push_some(L, &p->in, r->some) : push_formats(L, &p->in, &r->formats);
  if (!p->in.len) gl_buf_free(&p->in);
  return n;
}

static void cancel_read(gl_op *op) {
  ((read_op *)op)->pipe->reader = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_read(gl_op *op) { gl_pipe_unref(((read_op *)op)->pipe); }

static const gl_optype read_type = {READ, push_read, cancel_read, free_read};

int gl_pipe_read(lua_State *L, gl_pipe *p, int first, size_t some, double timeout) {
  if (p->reader) return gl_error_raise(L, READ, "EBUSY", "another task is reading here");
  read_op *r = gl_op_new(L, &read_type, offsetof(read_op, formats) + gl_formats_size(lua_gettop(L) - first + 1), 0);
  r->pipe = p;
  r->some = some;
  p->refs++;
  p->reader = &r->op;
  gl_formats_parse(L, first, lua_gettop(L) - first + 1, &r->formats);
  int err = answers(r) ? 0 : gl_pipe_start(p);
  if (err || answers(r)) gl_op_done(&r->op, err);
  return gl_await(L, &r->op, timeout);
}

/* ---- writing ---- */

static void close_if_finished(gl_pipe *p) {
  if (p->finish && uv_stream_get_write_queue_size(&p->uv.stream) == 0) gl_pipe_close(p);
}

int gl_pipe_try(gl_pipe *p, const char **bytes, size_t *n) {
  if (p->closing || p->finish) return UV_EPIPE;
  while (*n) {
    uv_buf_t buf = {.base = (char *)(uintptr_t)*bytes, .len = *n};
    int taken = uv_try_write(&p->uv.stream, &buf, 1);
    if (taken < 0) return taken;
    *bytes += taken;
    *n -= (size_t)taken;
  }
  return 0;
}

static void on_write(uv_write_t *req, int status) {
  gl_write_op *w = req->data;
  gl_pipe *p = w->pipe;
  gl_op_done(&w->op, status);
  close_if_finished(p);
}

void gl_write_free(gl_op *op) {
  gl_write_op *w = (gl_write_op *)op;
  gl_pipe_unref(w->pipe);
}

int gl_pipe_write(lua_State *L, gl_pipe *p, gl_write_op *w, const char *bytes, size_t n, double timeout) {
  uv_buf_t buf = {.base = (char *)(uintptr_t)bytes, .len = n};
  w->pipe = p;
  p->refs++;
  w->req.data = w;
  int err = uv_write(&w->req, &p->uv.stream, &buf, 1, on_write);
  if (err) gl_op_done(&w->op, err);
  return gl_await(L, &w->op, timeout);
}

/* ---- the last bytes ---- */

typedef struct last_write {
  uv_write_t req;
  gl_pipe *pipe;
  gl_buf bytes;
} last_write;

static void on_last_write(uv_write_t *req, int status) {
  (void)status; /* nobody waits for it */
  last_write *f = req->data;
  gl_pipe *p = f->pipe;
  gl_buf_free(&f->bytes);
  free(f);
  close_if_finished(p);
  gl_pipe_unref(p);
}

static bool write_last(gl_pipe *p, gl_buf *rest) {
  last_write *f = calloc(1, sizeof *f);
  if (!f) return false;
  uv_buf_t buf = {.base = gl_buf_at(rest), .len = rest->len};
  f->pipe = p;
  f->req.data = f;
  if (uv_write(&f->req, &p->uv.stream, &buf, 1, on_last_write) != 0) {
    free(f);
    return false;
  }
  p->refs++;
  f->bytes = *rest;
  *rest = (gl_buf){0};
  return true;
}

void gl_pipe_finish(gl_pipe *p, gl_buf *rest) {
  if (!p->closing && !p->finish && rest->len) {
    const char *bytes = gl_buf_at(rest);
    size_t n = rest->len;
    int status = gl_pipe_try(p, &bytes, &n);
    gl_buf_eat(rest, rest->len - n);
    if (status != UV_EAGAIN || !write_last(p, rest)) rest->len = 0;
  }
  gl_buf_free(rest);
  p->finish = true;
  if (!p->closing) close_if_finished(p);
}
