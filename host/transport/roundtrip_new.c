/* SPDX-License-Identifier: MIT
 *
 * What a round trip is made of: copies of the strings of its request, in one block; or those of its model.
 */
#include <string.h>

#include "h1/writer.h"
#include "transport/roundtrip.h"

static bool is_idempotent(const char *method) {
  static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", NULL};
  for (const char *const *name = names; *name; name++)
    if (strcmp(*name, method) == 0) return true;
  return false;
}

static gl_text copy_text(char **to, gl_text text) {
  gl_text copy = {*to, *to + gl_text_len(text)};
  *to = gl_put(*to, text.at, gl_text_len(text));
  return copy;
}

/* Copies fields: the list to `list`, and the text to *to, which is advanced. */
static gl_fields copy_fields(gl_field *list, char **to, const gl_fields *from) {
  gl_fields copy = {*to, list, from->n};
  if (!from->n) return copy;
  memcpy(list, from->list, from->n * sizeof *list);
  *to = gl_put(*to, from->text, gl_fields_text(from));
  return copy;
}

/* Copies the request's strings behind the struct. */
static void copy_request(gl_roundtrip *rt, const gl_roundtrip_spec *spec) {
  const gl_message_head *m = &spec->request;
  char *at = (char *)(rt->fields + m->fields.n);
  rt->request = *m;
  rt->url = at;
  at = gl_put(at, spec->url, strlen(spec->url) + 1);
  rt->method = at;
  rt->request.method = copy_text(&at, m->method);
  *at++ = '\0';
  rt->request.target = copy_text(&at, m->target);
  rt->request.authority = copy_text(&at, m->authority);
  rt->request.fields = copy_fields(rt->fields, &at, &m->fields);
}

/* Takes a block of `size` bytes for a round trip of the pool that has not begun, with one reference. NULL: out of memory. */
static gl_roundtrip *take(gl_pool *p, size_t size) {
  gl_roundtrip *rt = gl_block_calloc(&p->host->alloc, size);
  if (!rt) return NULL;
  rt->size = (uint32_t)size;
  rt->pool = p;
  p->refs++;
  rt->refs = 1;
  rt->over = true;
  return rt;
}

gl_roundtrip *gl_roundtrip_new(gl_pool *p, const gl_roundtrip_spec *spec) {
  const gl_message_head *m = &spec->request;
  size_t text = strlen(spec->url) + 2 + gl_text_len(m->method) + gl_text_len(m->target) + gl_text_len(m->authority) + gl_fields_text(&m->fields);
  size_t size = sizeof(gl_roundtrip) + m->fields.n * sizeof *m->fields.list + text;
  gl_roundtrip *rt = take(p, size);
  if (!rt) return NULL;
  copy_request(rt, spec);
  rt->limits = spec->limits;
  rt->upload = spec->upload;
  rt->upload_body = spec->body;
  rt->streams = spec->streams;
  rt->unencoded_only = spec->unencoded_only;
  rt->idempotent = is_idempotent(rt->method);
  return rt;
}

gl_roundtrip *gl_roundtrip_again(gl_roundtrip *model) {
  gl_roundtrip *rt = take(model->pool, sizeof *rt);
  if (!rt) return NULL;
  rt->model = model;
  model->refs++;
  rt->origin = model->origin;
  rt->origin->uses++;
  rt->limits = model->limits;
  rt->request = model->request;
  rt->url = model->url;
  rt->method = model->method;
  rt->streams = model->streams;
  rt->unencoded_only = model->unencoded_only;
  rt->idempotent = model->idempotent;
  return rt;
}
