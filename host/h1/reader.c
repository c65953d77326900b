/* SPDX-License-Identifier: MIT */
#include "h1/reader.h"

#include <stdlib.h>
#include <string.h>

#include "h1/rules.h"
#include "h1/start_line.h"

#define FRAMING_RATIO 16 /* bytes of framing per byte of body, at most: a chunk of one byte takes six */

/* ---- llhttp's callbacks ---- */

static int bad(gl_h1_reader *r, const char *wrong) {
  r->state = GL_H1_BAD;
  r->wrong = wrong;
  return -1;
}

/* Makes the message BAD because of a trailer that was refused, or for which there is no memory. */
static int refuse_trailer(gl_h1_reader *r) {
  r->no_memory = !r->trailers || r->trailers->refuse_status == 503;
  r->too_large = !r->no_memory;
  return bad(r, r->no_memory ? "not enough memory" : "the trailers are too large");
}

static int on_name(llhttp_t *p, const char *at, size_t n) {
  gl_h1_reader *r = p->data;
  if (r->state == GL_H1_HEAD) return gl_head_name(r->head, r->limits, at, n);
  if (!r->keeps_trailers) return 0;
  if (!r->trailers) r->trailers = calloc(1, sizeof *r->trailers);
  return r->trailers && gl_head_name(r->trailers, r->limits, at, n) == 0 ? 0 : refuse_trailer(r);
}

static int on_value(llhttp_t *p, const char *at, size_t n) {
  gl_h1_reader *r = p->data;
  if (r->state == GL_H1_HEAD) return gl_head_value(r->head, r->limits, at, n);
  if (!r->keeps_trailers) return 0;
  return gl_head_value(r->trailers, r->limits, at, n) == 0 ? 0 : refuse_trailer(r);
}

static int on_head(llhttp_t *p) {
  (void)p;
  return HPE_PAUSED;
}

static bool hand_on(gl_h1_reader *r, const char *at, size_t n) {
  r->body_read += n;
  return r->on_body(r, at, n);
}

static int on_body(llhttp_t *p, const char *at, size_t n) { return hand_on(p->data, at, n) ? 0 : bad(p->data, NULL); }

static int on_chunk(llhttp_t *p) {
  gl_h1_reader *r = p->data;
  if (p->content_length > 0) return 0;
  r->state = GL_H1_TRAILERS;
  r->trailers_last = '\n';
  return HPE_PAUSED;
}

static int on_message(llhttp_t *p) {
  gl_h1_reader *r = p->data;
  r->state = GL_H1_DONE;
  return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void) {
  static llhttp_settings_t s; /* constant after the first call */
  if (!s.on_body) {
    llhttp_settings_init(&s);
    s.on_header_field = on_name;
    s.on_header_value = on_value;
    s.on_headers_complete = on_head;
    s.on_body = on_body;
    s.on_chunk_header = on_chunk;
    s.on_message_complete = on_message;
  }
  return &s;
}

/* Returns a parser that has read a first line of this version, to be copied. The method, target and status of the real line do not matter
 * for the lines that follow. */
static const llhttp_t *after_line(bool responses, int minor) {
  static const char *const lines[2][2] = {
    {"POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\n"}, {"HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\n"}};
  static llhttp_t ready[2][2]; /* constant after the first call for each */
  llhttp_t *p = &ready[responses][minor];
  if (!p->settings) {
    llhttp_init(p, responses ? HTTP_RESPONSE : HTTP_REQUEST, settings());
    llhttp_execute(p, lines[responses][minor], strlen(lines[responses][minor]));
  }
  return p;
}

/* ---- life ---- */

void gl_h1_reader_init(gl_h1_reader *r, bool responses, const gl_head_limits *limits, gl_h1_on_body *take) {
  memset(r, 0, sizeof *r);
  r->responses = responses;
  r->limits = limits;
  r->on_body = take;
}

void gl_h1_reader_next(gl_h1_reader *r, gl_head *head) {
  r->head = head;
  r->body_read = r->left = r->framing = 0;
  r->mode = GL_BODY_NONE;
  r->state = GL_H1_HEAD;
  r->answers = GL_ANSWERS_ANY;
  r->no_memory = r->too_large = false;
  r->wrong = NULL;
}

/* ---- the head ---- */

static size_t read_line(gl_h1_reader *r, const char *bytes, size_t n) {
  gl_head *h = r->head;
  size_t used = r->responses ? gl_status_line_read(h, r->limits, bytes, n) : gl_request_line_read(h, r->limits, bytes, n);
  if (h->line != GL_LINE_DONE) return used;
  r->parser = *after_line(r->responses, h->minor);
  r->parser.data = r;
  return used;
}

static bool is_valid(gl_h1_reader *r) {
  return (r->responses ? gl_response_check(r->head, r->answers, &r->parser) : gl_request_check(r->head, r->limits, &r->parser)) == 0;
}

static void begin_body(gl_h1_reader *r) {
  gl_head *h = r->head;
  r->state = h->has_body ? GL_H1_BODY : GL_H1_DONE;
  if (!h->has_body) return;
  r->mode = h->chunked ? GL_BODY_CHUNKED : h->until_close ? GL_BODY_UNTIL_CLOSE : GL_BODY_LENGTH;
  r->left = h->content_length;
  if (h->chunked) llhttp_resume(&r->parser);
}

size_t gl_h1_read_head(gl_h1_reader *r, const char *bytes, size_t n) {
  gl_head *h = r->head;
  size_t line = h->line == GL_LINE_DONE ? 0 : read_line(r, bytes, n);
  if (line == n || h->refuse_status) return line;
  llhttp_errno_t err = llhttp_execute(&r->parser, bytes + line, n - line);
  size_t used = err == HPE_OK ? n : (size_t)(llhttp_get_error_pos(&r->parser) - bytes);
  if (err != HPE_OK && err != HPE_PAUSED) gl_head_refuse(h, 400, llhttp_get_error_reason(&r->parser));
  else if (gl_head_raw(h, r->limits, bytes + line, used - line) == 0 && err == HPE_PAUSED && is_valid(r)) begin_body(r);
  return used;
}

/* ---- the body ---- */

/* Returns a fault between the bytes of a body that llhttp accepts: endless extensions or trailers, and lines behind the last chunk that do
 * not end in CRLF. NULL: there is none. */
static const char *wrong_framing(gl_h1_reader *r, bool trailers, const char *bytes, size_t n, uint64_t body_before) {
  r->framing += n - (r->body_read - body_before);
  r->too_large = r->framing > r->limits->bytes + FRAMING_RATIO * r->body_read;
  if (r->too_large) return trailers ? "the trailers are too large" : "more framing than body";
  if (!trailers || !n) return NULL;
  const char *wrong = gl_head_bad_line(r->trailers_last, bytes, n);
  r->trailers_last = bytes[n - 1];
  return wrong;
}

static size_t read_chunks(gl_h1_reader *r, const char *bytes, size_t n) {
  uint64_t before = r->body_read;
  bool trailers = r->state == GL_H1_TRAILERS;
  llhttp_errno_t err = llhttp_execute(&r->parser, bytes, n);
  size_t used = err == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&r->parser) - bytes) : n;
  bool failed = err != HPE_OK && err != HPE_PAUSED;
  if (r->state == GL_H1_BAD) return used;
  const char *wrong = failed ? llhttp_get_error_reason(&r->parser) : wrong_framing(r, trailers, bytes, used, before);
  if (wrong) bad(r, wrong);
  else if (err == HPE_PAUSED && r->state == GL_H1_TRAILERS) llhttp_resume(&r->parser);
  return used;
}

size_t gl_h1_read_body(gl_h1_reader *r, const char *bytes, size_t n) {
  if (r->mode == GL_BODY_CHUNKED) return read_chunks(r, bytes, n);
  if (r->mode == GL_BODY_LENGTH && r->left < n) n = (size_t)r->left;
  if (!hand_on(r, bytes, n)) bad(r, NULL);
  else if (r->mode == GL_BODY_LENGTH && (r->left -= n) == 0) r->state = GL_H1_DONE;
  return n;
}

void gl_h1_read_end(gl_h1_reader *r) {
  if (r->state == GL_H1_DONE) return;
  if (r->mode == GL_BODY_UNTIL_CLOSE && r->state == GL_H1_BODY) r->state = GL_H1_DONE;
  else bad(r, "cut short");
}
