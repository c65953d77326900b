/* SPDX-License-Identifier: MIT */
#include "message/body_out.h"

void gl_body_out_send(gl_body_out *b, gl_stream *s, const char *bytes, size_t n) {
  char size[GL_H1_CHUNK];
  if (b->mode == GL_BODY_LENGTH) b->owed -= n;
  if (!s || !n) return; /* an empty chunk would end the body */
  if (b->mode == GL_BODY_CHUNKED) gl_stream_write(s, size, (size_t)(gl_h1_put_chunk_size(size, n) - size));
  gl_stream_write(s, bytes, n);
  if (b->mode == GL_BODY_CHUNKED) gl_stream_write(s, "\r\n", 2);
}

void gl_body_out_end(const gl_body_out *b, gl_stream *s, const gl_fields *trailers) {
  if (!s || b->mode != GL_BODY_CHUNKED) return;
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
