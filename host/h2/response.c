/* SPDX-License-Identifier: MIT */
#include "h2/response.h"

#include <stdlib.h>
#include <string.h>

#define OURS 4 /* fields beside those of the head: status, date, type, length */

static void add(gl_h2_fields *f, const char *name, size_t name_len, const char *value, size_t n) {
  f->list[f->n++] = (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, name_len, n, NGHTTP2_NV_FLAG_NONE};
}

#define ADD(f, name, value, n) add((f), "" name, sizeof(name) - 1, (value), (n))

static bool begin(gl_h2_fields *f, size_t most) {
  f->n = 0;
  f->list = most <= GL_H2_FIELDS ? f->few : malloc(most * sizeof *f->list);
  return f->list != NULL;
}

void gl_h2_fields_drop(gl_h2_fields *f) {
  if (f->list != f->few) free(f->list);
}

/* Is it a field that is about a connection, which no message of HTTP/2 may have? */
static bool is_forbidden(gl_text name) {
  switch (gl_text_len(name)) {
    case 2: return gl_text_is(name, "te");
    case 7: return gl_text_is(name, "upgrade");
    case 10: return gl_text_is(name, "keep-alive") || gl_text_is(name, "connection");
    case 16: return gl_text_is(name, "proxy-connection");
    case 17: return gl_text_is(name, "transfer-encoding");
    default: return false;
  }
}

static void add_all(gl_h2_fields *f, const gl_fields *from) {
  for (uint32_t i = 0; i < from->n; i++) {
    const gl_field *one = &from->list[i];
    const char *name = from->text + one->name;
    if (is_forbidden(gl_text_of(name, one->name_len))) continue;
    gl_text value = gl_text_trim(gl_text_of(from->text + one->value, one->value_len)); /* RFC 9113, 8.2.1 */
    add(f, name, one->name_len, value.at, gl_text_len(value));
  }
}

static void add_status(gl_h2_fields *f, int status) {
  for (int i = 0, unit = 100; i < 3; i++, unit /= 10) f->status[i] = (char)('0' + status / unit % 10);
  ADD(f, ":status", f->status, 3);
}

bool gl_h2_fields_of_head(gl_h2_fields *f, const gl_message_head *m, gl_h1_date *date) {
  static const size_t before = sizeof "Date: " - 1, behind = sizeof "\r\n" - 1;
  if (!begin(f, m->fields.n + OURS)) return false;
  add_status(f, m->status);
  gl_h1_put_date(f->date, date);
  ADD(f, "date", f->date + before, GL_H1_DATE - before - behind);
  add_all(f, &m->fields);
  if (m->type) ADD(f, "content-type", m->type, strlen(m->type));
  if (m->length != GL_LENGTH_UNKNOWN) ADD(f, "content-length", f->length, (size_t)(gl_h1_put_number(f->length, (uint64_t)m->length) - f->length));
  return true;
}

bool gl_h2_fields_of_interim(gl_h2_fields *f, int status, const gl_fields *fields) {
  if (!begin(f, fields->n + 1)) return false;
  add_status(f, status);
  add_all(f, fields);
  return true;
}

bool gl_h2_fields_of_trailers(gl_h2_fields *f, const gl_fields *trailers) {
  if (!begin(f, trailers->n)) return false;
  add_all(f, trailers);
  return true;
}

nghttp2_nv *gl_h2_fields_copy(const gl_h2_fields *f) {
  size_t size = f->n * sizeof *f->list;
  for (size_t i = 0; i < f->n; i++) size += f->list[i].namelen + f->list[i].valuelen;
  nghttp2_nv *copy = malloc(size);
  char *to = copy ? (char *)&copy[f->n] : NULL;
  for (size_t i = 0; copy && i < f->n; i++) {
    copy[i] = f->list[i];
    copy[i].name = (uint8_t *)to;
    to = gl_put(to, (const char *)f->list[i].name, f->list[i].namelen);
    copy[i].value = (uint8_t *)to;
    to = gl_put(to, (const char *)f->list[i].value, f->list[i].valuelen);
  }
  return copy;
}
