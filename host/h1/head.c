/* SPDX-License-Identifier: MIT */
#include "h1/head.h"

#include <stdlib.h>
#include <string.h>

#include "core/block.h"

int gl_head_refuse(gl_head *h, uint16_t status, const char *reason) {
  if (!h->refuse_status) {
    h->refuse_status = status;
    h->refuse_reason = reason;
  }
  return -1;
}

void gl_head_clear(gl_head *h) { memset(&h->len, 0, offsetof(gl_head, method_name) - offsetof(gl_head, len)); }

void gl_head_free(gl_head *h) {
  if (h->text) gl_memory_resize(h->text, h->cap, 0);
  if (h->fields) gl_memory_resize(h->fields, h->fields_cap * sizeof *h->fields, 0);
  free(h);
}

static char *room(gl_head *h, size_t n) {
  if (n <= h->cap - h->len) return h->text + h->len;
  uint32_t cap = h->cap ? h->cap : 512;
  while (cap - h->len < n) cap *= 2; /* does not overflow: gl_head_limits are checked before */
  char *text = gl_memory_resize(h->text, h->cap, cap);
  if (!text) return NULL;
  h->text = text;
  h->cap = cap;
  return text + h->len;
}

int gl_head_add(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (h->len + n > max->bytes) return gl_head_refuse(h, 431, "request header fields too large");
  if (!n) return 0;
  char *to = room(h, n);
  if (!to) return gl_head_refuse(h, 503, "not enough memory");
  memcpy(to, at, n);
  h->len += (uint32_t)n;
  return 0;
}

static int new_field(gl_head *h, const gl_head_limits *max) {
  if (h->nfields == max->fields) return gl_head_refuse(h, 431, "too many request header fields");
  if (h->nfields == h->fields_cap) {
    uint32_t cap = h->fields_cap ? h->fields_cap * 2 : 16;
    gl_field *fields = gl_memory_resize(h->fields, h->fields_cap * sizeof *fields, cap * sizeof *fields);
    if (!fields) return gl_head_refuse(h, 503, "not enough memory");
    h->fields = fields;
    h->fields_cap = cap;
  }
  h->fields[h->nfields++] = (gl_field){.name = h->len};
  h->in_value = false;
  return 0;
}

int gl_head_name(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if ((h->in_value || h->nfields == 0) && new_field(h, max) != 0) return -1;
  uint32_t from = h->len;
  if (gl_head_add(h, max, at, n) != 0) return -1;
  for (char *c = h->text + from, *end = c + n; c < end; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c | 0x20);
  h->fields[h->nfields - 1].name_len += (uint32_t)n;
  return 0;
}

int gl_head_value(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  if (h->nfields == 0) return gl_head_refuse(h, 400, "a header line without a name");
  gl_field *f = &h->fields[h->nfields - 1];
  if (!h->in_value) f->value = h->len;
  h->in_value = true;
  if (gl_head_add(h, max, at, n) != 0) return -1;
  f->value_len += (uint32_t)n;
  return 0;
}

const char *gl_head_bad_line(char before, const char *at, size_t n) {
  const char *end = at + n, *p = at;
  if (n && before == '\n' && (*at == ' ' || *at == '\t')) return "folded header line";
  while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    if ((p > at ? p[-1] : before) != '\r') return "a line ends in LF without CR";
    if (++p < end && (*p == ' ' || *p == '\t')) return "folded header line";
  }
  return NULL;
}

int gl_head_raw(gl_head *h, const gl_head_limits *max, const char *at, size_t n) {
  const char *wrong = gl_head_bad_line(h->last, at, n);
  if (wrong) return gl_head_refuse(h, 400, wrong);
  h->raw += (uint32_t)n;
  if (h->raw > max->bytes + max->target) return gl_head_refuse(h, 431, "request header fields too large");
  if (n) h->last = at[n - 1];
  return 0;
}
