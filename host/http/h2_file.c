/* SPDX-License-Identifier: MIT
 *
 * A part of a file in the body of a response of HTTP/2: jobs on the thread pool read a piece after the other, which become frames. (HTTP/1
 * has net/file_out.h, whose jobs give the kernel the file itself.)
 *
 *     gl_h2_file_begin --> WAITS --gl_h2_file_go_on--> WORKS --on_worked: there is more--> WAITS
 *                            |                           |--on_worked: all was read, or the file failed--> freed
 *                            '--gl_h2_file_drop--> freed '--gl_h2_file_drop--> DROPPED --on_worked--> freed
 *
 *  1. Only in WORKS and DROPPED does a job touch `piece` and `wrong`; the loop does not then.
 *  2. A piece is read ahead while the one before leaves; there are never more than two.
 *  3. A forked child has none of the parent's jobs, and frees what it finds in WORKS.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/memory.h"
#include "http/h2.h"
#include "http/server.h"

#define PIECE ((size_t)64 * 1024)

struct gl_h2_file {
  uv_work_t req;
  gl_h2_stream *st;   /* NULL: DROPPED */
  gl_host *host;
  gl_open_file *file; /* referenced */
  uint64_t at, left;  /* the part that was not read yet */
  uint32_t process;   /* whose jobs are meant (gl_host.process) */
  bool works;         /* WORKS */
  gl_buf piece;       /* by the job: the bytes that it read */
  int wrong;          /* by the job: why it read no more; UV_EOF: the file has ended; 0: nothing is wrong */
};

/* ---- on a pool thread ---- */

static void run(uv_work_t *req) {
  gl_h2_file *f = req->data;
  size_t n = f->left < PIECE ? (size_t)f->left : PIECE;
  gl_memory_serve(f->host, true);
  char *to = gl_buf_room(&f->piece, n);
  ssize_t got = 0;
  while (to && (got = pread(f->file->fd, to, n, (off_t)f->at)) < 0 && errno == EINTR) continue;
  if (!to) f->wrong = UV_ENOMEM;
  else if (got > 0) gl_buf_grew(&f->piece, (size_t)got);
  else f->wrong = got == 0 ? UV_EOF : uv_translate_sys_error(errno);
  gl_memory_serve(NULL, false);
}

/* ---- on the loop ---- */

static void end(gl_h2_file *f) {
  if (f->st) f->st->file = NULL;
  gl_open_file_unref(f->file);
  gl_buf_free(&f->piece);
  free(f);
}

/* Moves what was read behind what waits. */
static void account(gl_h2_file *f) {
  gl_buf *out = &f->st->out;
  f->at += f->piece.len;
  f->left -= f->piece.len;
  if (!out->len) {
    gl_buf_free(out);
    *out = f->piece;
    f->piece = (gl_buf){0};
  } else if (!gl_buf_add(out, gl_buf_at(&f->piece), f->piece.len)) {
    f->wrong = UV_ENOMEM;
  }
  f->piece.len = f->piece.off = 0;
}

static void on_worked(uv_work_t *req, int status) {
  gl_h2_file *f = req->data;
  gl_h2_stream *st = f->st;
  (void)status; /* nobody cancels it */
  f->host->jobs--;
  f->works = false;
  if (!st) {
    end(f);
    return;
  }
  if (!f->wrong) account(f);
  int wrong = f->wrong;
  if (wrong || !f->left) end(f);
  if (!wrong) {
    gl_h2_resume(st);
    gl_h2_pump(st->h2);
    return;
  }
  st->x.file_error = wrong;
  gl_h2_cut(&st->x); /* whatever its user makes of that, the message cannot be completed */
  if (!st->full) return;
  st->full = false;
  st->x.user->room(&st->x, wrong);
}

void gl_h2_file_go_on(gl_h2_stream *st) {
  gl_h2_file *f = st->file;
  if (!f || f->works || st->out.len > PIECE / 2) return;
  f->works = true;
  gl_memory_relieve(f->host);
  f->host->jobs++;
  uv_queue_work(&f->host->loop, &f->req, run, on_worked); /* fails only without a callback */
}

bool gl_h2_file_begin(gl_h2_stream *st, gl_open_file *file, uint64_t at, uint64_t n) {
  gl_h2_file *f = calloc(1, sizeof *f);
  gl_host *h = gl_h2_server(st)->host;
  if (!f) return false;
  *f = (gl_h2_file){.st = st, .host = h, .file = gl_open_file_ref(file), .at = at, .left = n, .process = h->process};
  f->req.data = f;
  st->file = f;
  return true;
}

void gl_h2_file_drop(gl_h2_stream *st) {
  gl_h2_file *f = st->file;
  if (!f) return;
  st->file = NULL;
  f->st = NULL;
  if (!f->works || f->process != f->host->process) end(f);
}
