/* SPDX-License-Identifier: MIT */
#include "h2/request.h"

#include "h1/fields.h"
#include "h1/rules.h"
#include "h1/start_line.h"

#define FIELD_OVERHEAD 32 /* bytes that each field counts beside its own (RFC 9113, 10.5.1) */

static gl_text text_of(nghttp2_rcbuf *b) {
  nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
  return gl_text_of((const char *)v.base, v.len);
}

static void let_go(nghttp2_rcbuf **b) {
  if (*b) nghttp2_rcbuf_decref(*b);
  *b = NULL;
}

void gl_h2_request_begin(gl_h2_request *r, gl_head *head) {
  *r = (gl_h2_request){.head = head};
  head->minor = GL_MINOR_HTTP2;
}

void gl_h2_request_drop(gl_h2_request *r) {
  let_go(&r->method);
  let_go(&r->target);
  let_go(&r->authority);
  let_go(&r->scheme);
  let_go(&r->protocol);
}

static void keep(nghttp2_rcbuf **at, nghttp2_rcbuf *value) {
  let_go(at);
  nghttp2_rcbuf_incref(value);
  *at = value;
}

static void keep_pseudo(gl_h2_request *r, gl_text name, nghttp2_rcbuf *value) {
  if (gl_text_is(name, ":method")) keep(&r->method, value);
  else if (gl_text_is(name, ":path")) keep(&r->target, value);
  else if (gl_text_is(name, ":authority")) keep(&r->authority, value);
  else if (gl_text_is(name, ":scheme")) keep(&r->scheme, value);
  else if (gl_text_is(name, ":protocol")) keep(&r->protocol, value);
}

static int add(gl_head *h, const gl_head_limits *max, gl_text name, gl_text value) {
  value = gl_text_trim(value);
  h->in_value = true; /* the field is a new one */
  return gl_head_name(h, max, name.at, gl_text_len(name)) != 0 ? -1 : gl_head_value(h, max, value.at, gl_text_len(value));
}

/* Makes the pseudo fields the beginning of the head. */
static void settle(gl_h2_request *r, const gl_head_limits *max) {
  static const char host[] = "host";
  gl_text none = {"", ""}, target = r->target ? text_of(r->target) : none;
  bool known = r->scheme && (gl_text_is(text_of(r->scheme), "https") || gl_text_is(text_of(r->scheme), "http"));
  r->settled = true;
  r->head->tunnel = r->protocol && gl_text_is(text_of(r->protocol), "websocket"); /* any other one is a method that is not implemented */
  gl_request_line_set(r->head, max, r->head->tunnel ? gl_text_of("GET", 3) : r->method ? text_of(r->method) : none, r->target ? target : gl_text_of("/", 1)); /* CONNECT has no path */
  if (r->scheme && !known) gl_head_refuse(r->head, 400, "the scheme is neither http nor https");
  if (!r->head->refuse_status && r->authority) add(r->head, max, gl_text_of(host, 4), text_of(r->authority));
  gl_h2_request_drop(r);
}

static gl_text value_of(const gl_head *h, const gl_field *f) { return gl_text_of(h->text + f->value, f->value_len); }

/* Is this a Host field beside the authority, which is the first field then? The two must say the same. */
static bool repeats_host(gl_head *h, gl_text name, gl_text value) {
  if (!h->nfields || !gl_text_is(name, "host") || !gl_text_is(gl_text_of(h->text + h->fields[0].name, h->fields[0].name_len), "host")) return false;
  if (!gl_text_equals(gl_text_trim(value), value_of(h, &h->fields[0]))) gl_head_refuse(h, 400, "the Host header differs from :authority");
  return true;
}

static void count(gl_h2_request *r, gl_text name, gl_text value) { r->bytes += gl_text_len(name) + gl_text_len(value) + FIELD_OVERHEAD; }

void gl_h2_request_field(gl_h2_request *r, const gl_head_limits *max, nghttp2_rcbuf *name, nghttp2_rcbuf *value) {
  gl_text n = text_of(name), v = text_of(value);
  count(r, n, v);
  if (r->head->refuse_status) return;
  if (gl_text_len(n) && *n.at == ':') {
    keep_pseudo(r, n, value);
    return;
  }
  if (!r->settled) settle(r, max);
  if (!r->head->refuse_status && !repeats_host(r->head, n, v)) add(r->head, max, n, v);
}

/* Reads the length that the head announces; nghttp2 has made sure that it is one number. */
static void read_length(gl_head *h) {
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    if (!gl_text_is(gl_text_of(h->text + f->name, f->name_len), "content-length")) continue;
    h->content_length = 0;
    for (uint32_t k = 0; k < f->value_len; k++) h->content_length = h->content_length * 10 + (uint64_t)(h->text[f->value + k] - '0');
    h->has_length = true;
  }
}

int gl_h2_request_end(gl_h2_request *r, const gl_head_limits *max, bool ends) {
  gl_head *h = r->head;
  if (!r->settled) settle(r, max);
  h->raw = r->bytes < UINT32_MAX ? (uint32_t)r->bytes : UINT32_MAX;
  if (h->raw > max->bytes + max->target + max->fields * FIELD_OVERHEAD) gl_head_refuse(h, 431, "request header fields too large");
  if (h->refuse_status || gl_request_check_head(h, max) != 0) return -1;
  read_length(h);
  h->has_body = !ends && !h->tunnel;
  return 0;
}

int gl_h2_request_trailer(gl_h2_request *r, gl_head *trailers, const gl_head_limits *max, nghttp2_rcbuf *name, nghttp2_rcbuf *value) {
  gl_text n = text_of(name), v = text_of(value);
  count(r, n, v);
  return !trailers || trailers->refuse_status ? -1 : add(trailers, max, n, v);
}
