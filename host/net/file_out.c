/* SPDX-License-Identifier: MIT */
#include "net/file_out.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "core/check.h"
#include "core/memory.h"

#define PART ((uint64_t)1024 * 1024) /* bytes that a job sends at most, so that jobs of others have their turn */
#define TAIL ((size_t)16 * 1024)     /* bytes of the piece that waits for room in the socket */
#define PIECE ((size_t)128 * 1024)   /* bytes of a piece where sendfile is impossible */

struct gl_file_out {
  uv_work_t req;
  gl_stream *stream;
  gl_open_file *file; /* referenced */
  uint64_t at, left;  /* the part that the stream was not given yet */
  uint32_t process;   /* whose jobs are meant (gl_host.process) */
  int socket;         /* the stream's descriptor */
  bool works;         /* WORKS */
  bool direct;        /* sendfile may be possible */
  uint64_t sent;      /* by the job: bytes that the kernel took */
  gl_buf piece;       /* by the job: bytes behind those, for the loop to write */
  int wrong;          /* by the job: why the file gave no more, UV_EOF: it has ended; 0 = nothing is wrong */
  int torn;           /* by the job: why the socket took no more; 0 = nothing is wrong */
  atomic_bool stop;   /* nobody wants the bytes any more */
};

uint64_t gl_file_out_left(const gl_file_out *f) { return f->left; }

bool gl_file_out_works(const gl_file_out *f) { return f->works && f->process == f->stream->host->process; }

bool gl_file_out_ends(const gl_file_out *f) { return gl_file_out_works(f) && !f->stream->filter && f->left <= PART; }

/* ---- on a pool thread ---- */

static int last_error(void) { return uv_translate_sys_error(errno); }

/* Takes note of a failed sendfile, which does not say which of the two descriptors is at fault: a byte of the file is read to find out. */
static void blame(gl_file_out *f) {
  char byte;
  int err = last_error();
  if (err == UV_EINVAL || err == UV_ENOSYS || err == UV_ENOTSUP) {
    f->direct = false;
    return;
  }
  ssize_t n = pread(f->file->fd, &byte, 1, (off_t)(f->at + f->sent));
  if (n < 0) f->wrong = last_error();
  else if (n == 0) f->wrong = UV_EOF;
  else f->torn = err;
}

/* Gives the kernel a part of the file, as far as the socket takes it. True: a piece is to be read, for the loop. */
static bool send_part(gl_file_out *f) {
  uint64_t most = f->left < PART ? f->left : PART;
  while (f->sent < most && !atomic_load(&f->stop)) {
    off_t at = (off_t)(f->at + f->sent);
    ssize_t n = sendfile(f->socket, f->file->fd, &at, (size_t)(most - f->sent));
    if (n > 0) {
      f->sent += (uint64_t)n;
    } else if (n == 0) {
      f->wrong = UV_EOF;
      return false;
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR) {
      blame(f);
      return !f->direct;
    }
  }
  return false;
}

static void read_piece(gl_file_out *f, size_t most) {
  uint64_t left = f->left - f->sent;
  size_t n = left < most ? (size_t)left : most;
  char *to = n ? gl_buf_room(&f->piece, n) : NULL;
  if (!to) {
    if (n) f->wrong = UV_ENOMEM;
    return;
  }
  ssize_t got;
  do got = pread(f->file->fd, to, n, (off_t)(f->at + f->sent));
  while (got < 0 && errno == EINTR);
  if (got > 0) gl_buf_grew(&f->piece, (size_t)got);
  else f->wrong = got == 0 ? UV_EOF : last_error();
}

static void run(uv_work_t *req) {
  gl_file_out *f = req->data;
  gl_memory_serve(f->stream->host, true);
  bool reads = !f->direct || send_part(f);
  if (reads && !atomic_load(&f->stop)) read_piece(f, f->direct ? TAIL : PIECE);
  gl_memory_serve(NULL, false);
}

/* ---- on the loop ---- */

static void end(gl_file_out *f) {
  f->stream->file = NULL;
  gl_open_file_unref(f->file);
  gl_buf_free(&f->piece);
  free(f);
}

/* Gives the stream what the job has read, and takes note of what the job has sent. */
static void account(gl_stream *s, gl_file_out *f) {
  uint64_t n = f->sent + f->piece.len;
  s->written += f->sent;
  s->taken += f->sent;
  f->at += n;
  f->left -= n;
  f->sent = 0;
  gl_stream_adopt(s, &f->piece);
}

static void on_worked(uv_work_t *req, int status) {
  gl_file_out *f = req->data;
  gl_stream *s = f->stream;
  int torn = f->torn;
  (void)status; /* nobody cancels it */
  s->host->jobs--;
  f->works = false;
  if (atomic_load(&f->stop)) {
    s->file_cut = f->sent < f->left;
    end(f);
    gl_stream_resume(s, 0);
    return;
  }
  account(s, f);
  if (f->wrong) s->file_error = f->wrong;
  if (!f->left || f->wrong || torn) end(f);
  gl_stream_resume(s, torn);
}

void gl_file_out_go_on(gl_stream *s) {
  gl_file_out *f = s->file;
  if (f->works || s->write || gl_stream_pending(s)) return;
  f->works = true;
  f->direct = f->direct && !s->filter;
  gl_memory_relieve(s->host);
  s->host->jobs++;
  uv_queue_work(&s->host->loop, &f->req, run, on_worked); /* fails only without a callback */
}

void gl_file_out_drop(gl_stream *s) {
  gl_file_out *f = s->file;
  if (gl_file_out_works(f)) {
    atomic_store(&f->stop, true);
  } else {
    s->file_cut = true;
    end(f);
  }
}

bool gl_stream_send_file(gl_stream *s, gl_open_file *file, uint64_t at, uint64_t n) {
  uv_os_fd_t fd;
  s->file_error = 0;
  s->file_cut = false;
  if (!n || gl_stream_is_mute(s) || uv_fileno(&s->uv.handle, &fd) != 0) return true;
  GL_CHECK(!s->file);
  gl_file_out *f = calloc(1, sizeof *f);
  if (!f) return false;
  *f = (gl_file_out){.stream = s, .file = gl_open_file_ref(file), .at = at, .left = n, .process = s->host->process, .socket = fd, .direct = true};
  f->req.data = f;
  s->file = f;
  s->full = true;
  gl_stream_touch(s);
  return true;
}
