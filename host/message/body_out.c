/* SPDX-License-Identifier: MIT */
#include "message/body_out.h"

#include "net/file_out.h"

static void close_chunk(gl_body_out *b, gl_stream *s) {
  if (b->unclosed) gl_stream_write(s, "\r\n", 2);
  b->unclosed = false;
}

static void open_chunk(gl_body_out *b, gl_stream *s, uint64_t n) {
  char size[GL_H1_CHUNK];
  close_chunk(b, s);
  gl_stream_write(s, size, (size_t)(gl_h1_put_chunk_size(size, (size_t)n) - size));
}

void gl_body_out_send(gl_body_out *b, gl_stream *s, const char *bytes, size_t n) {
  if (b->mode == GL_BODY_LENGTH) b->owed -= n;
  if (!s || !n) return; /* an empty chunk would end the body */
  if (b->mode == GL_BODY_CHUNKED) open_chunk(b, s, n);
  gl_stream_write(s, bytes, n);
  if (b->mode == GL_BODY_CHUNKED) gl_stream_write(s, "\r\n", 2);
}

bool gl_body_out_send_file(gl_body_out *b, gl_stream *s, gl_open_file *file, uint64_t at, uint64_t n) {
  if (s && !gl_stream_send_file(s, file, at, n)) return false;
  if (b->mode == GL_BODY_LENGTH) b->owed -= n;
  if (!s || b->mode != GL_BODY_CHUNKED) return true;
  open_chunk(b, s, n); /* the file leaves behind it */
  b->unclosed = true;
  return true;
}

void gl_body_out_end(gl_body_out *b, gl_stream *s, const gl_fields *trailers) {
  if (!s || b->mode != GL_BODY_CHUNKED) return;
  close_chunk(b, s);
  gl_stream_write(s, "0\r\n", 3);
  for (uint32_t i = 0; trailers && i < trailers->n; i++) {
    const gl_field *f = &trailers->list[i];
    gl_stream_write(s, trailers->text + f->name, f->name_len);
    gl_stream_write(s, ": ", 2);
    gl_stream_write(s, trailers->text + f->value, f->value_len);
    gl_stream_write(s, "\r\n", 2);
  }
  gl_stream_write(s, "\r\n", 2);
}
