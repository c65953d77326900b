/* SPDX-License-Identifier: MIT */
#include "web/forwarded.h"

#include <string.h>

#include "h1/fields.h"
#include "h1/rules.h"

/* What one element says, or what the elements of the same place in several headers say. Texts are within the request's; `at` NULL: nothing. */
typedef struct hop {
  gl_text client, proto, host;
} hop;

/* ---- addresses ---- */

/* Reads an address as proxies write them: 192.0.2.7, 192.0.2.7:80, 2001:db8::7, [2001:db8::7], [2001:db8::7]:80. False for what is none, such
 * as "unknown" and the made-up names of RFC 7239, 6.3. */
static bool read_client(gl_text t, gl_address *out) {
  char text[GL_ADDRESS_MAX], host[GL_HOST_MAX];
  size_t n = gl_text_len(t);
  int port = 0;
  if (!t.at || n == 0 || n >= sizeof text || memchr(t.at, '%', n) || memchr(t.at, 0, n)) return false;
  memcpy(text, t.at, n);
  text[n] = 0;
  if (gl_address_number(text, 0, out)) return true;
  if (*text == '[' && text[n - 1] == ']') {
    text[n - 1] = 0;
    return gl_address_number(text + 1, 0, out) && out->family == AF_INET6;
  }
  return !gl_address_split(text, host, &port) && gl_address_number(host, port, out) && (out->family == AF_INET6) == (*text == '[');
}

void gl_forwarded_client(const gl_request *r, char out[GL_ADDRESS_MAX]) {
  gl_address address;
  if (read_client(gl_text_of(gl_request_text(r) + r->client.at, r->client.len), &address)) gl_address_text((struct sockaddr *)&address.ip, out);
  else *out = 0;
}

/* ---- the elements of a header ---- */

/* The elements of all lines of a header, one after the other. */
typedef struct walk {
  const gl_request *r;
  const char *name;
  uint32_t field; /* behind the last line looked at */
  gl_text line;   /* what is left of this one */
} walk;

static bool next_element(walk *w, gl_text *element) {
  while (!w->line.at || !gl_take_element(&w->line, element))
    if (!gl_request_next_line(w->r, w->name, &w->field, &w->line)) return false;
  return true;
}

static uint32_t count_elements(const gl_request *r, const char *name) {
  walk w = {.r = r, .name = name};
  gl_text element;
  uint32_t n = 0;
  while (next_element(&w, &element)) n++;
  return n;
}

/* Returns the element of number `i` of `n` of a header that has as many; else the last one, which the nearest proxy has written. */
static gl_text element_at(const gl_request *r, const char *name, uint32_t i, uint32_t n) {
  walk w = {.r = r, .name = name};
  gl_text element = {NULL, NULL};
  uint32_t all = count_elements(r, name), want = all == n ? i : all - 1;
  for (uint32_t k = 0; k < all && next_element(&w, &element) && k < want; k++) continue;
  return element;
}

/* ---- whose word counts ---- */

/* The look for the client, from left to right: the last element whose address is not a trusted proxy's is the client. If all are, the first is,
 * but for those at the left of an element that is no address, which may hide anybody. */
typedef struct search {
  const gl_networks *trusted;
  hop found, last;
  uint32_t at; /* the number of the element that was found */
  bool any;
} search;

static void look_at(search *s, const hop *h, uint32_t i) {
  gl_address address;
  s->last = *h;
  if (h->client.at && s->trusted->unix_sockets && gl_text_is(h->client, "unix:")) return; /* nginx's word for a peer on a unix socket */
  bool valid = read_client(h->client, &address);
  if (!valid) s->any = false;
  if (!valid || (s->any && gl_networks_have(s->trusted, address.family, &address.ip))) return;
  s->found = *h;
  s->at = i;
  s->any = true;
}

static bool read_pair(hop *h, const gl_parameter *p) {
  gl_text *to = gl_text_is(p->name, "for") ? &h->client : gl_text_is(p->name, "proto") ? &h->proto : gl_text_is(p->name, "host") ? &h->host : NULL;
  if (to && to->at) return false; /* RFC 7239, 4: each at most once */
  if (to) *to = p->value;
  return true;
}

/* Reads an element of Forwarded: `for=192.0.2.7;proto=https;host=a.example`. False: it is malformed. */
static bool read_forwarded(gl_text element, hop *h) {
  gl_parameter p;
  int more = gl_take_name_value(&element, GL_QUOTING_RFC, &p) ? 1 : -1;
  while (more == 1 && read_pair(h, &p)) more = gl_take_parameter(&element, GL_QUOTING_RFC, &p);
  return more == 0;
}

static void search_forwarded(const gl_request *r, search *s) {
  walk w = {.r = r, .name = "forwarded"};
  gl_text element;
  for (uint32_t i = 0; next_element(&w, &element); i++) {
    hop h = {0};
    if (!read_forwarded(element, &h)) h = (hop){0};
    look_at(s, &h, i);
  }
}

static void search_x_forwarded(const gl_request *r, search *s, int headers) {
  walk w = {.r = r, .name = "x-forwarded-for"};
  uint32_t n = 0;
  for (hop h = {0}; (headers & GL_X_FORWARDED_FOR) && next_element(&w, &h.client); n++) look_at(s, &h, n);
  uint32_t at = s->any ? s->at : n;
  if (headers & GL_X_FORWARDED_PROTO) s->found.proto = element_at(r, "x-forwarded-proto", at, n);
  if (headers & GL_X_FORWARDED_HOST) s->found.host = element_at(r, "x-forwarded-host", at, n);
}

static gl_place place_of(const gl_request *r, gl_text t) {
  return (gl_place){(uint32_t)(t.at - gl_request_text(r)), (uint32_t)gl_text_len(t)};
}

void gl_forwarded_read(gl_request *r, const gl_networks *trusted, int headers) {
  search s = {.trusted = trusted};
  if (headers & GL_FORWARDED) search_forwarded(r, &s);
  else search_x_forwarded(r, &s, headers);
  if (s.any) r->client = place_of(r, s.found.client);
  else if (headers & GL_FORWARDED) s.found = s.last; /* the nearest proxy does not say for whom it speaks, but how it was asked */
  gl_text proto = s.found.proto, host = s.found.host;
  if (proto.at && (gl_text_is(proto, "https") || gl_text_is(proto, "wss"))) r->secure = true;
  if (proto.at && (gl_text_is(proto, "http") || gl_text_is(proto, "ws"))) r->secure = false;
  if (host.at && gl_is_host(host.at, gl_text_len(host))) r->host = place_of(r, host);
}
