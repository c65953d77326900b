/* SPDX-License-Identifier: MIT */
#include "ws/permessage.h"

#include <stdio.h>
#include <string.h>

#include "core/block.h"
#include "core/check.h"

/* ---- the agreement ---- */

typedef struct offer {
  bool server_takeover, client_takeover; /* not forbidden */
  int server_window; /* bits of the largest window that the client takes; 0: any */
  int client_window; /* bits of the window that the client will have, at most; 0: the client takes no limit */
} offer;

typedef enum part { NO_SERVER_TAKEOVER = 1, NO_CLIENT_TAKEOVER = 2, SERVER_WINDOW = 4, CLIENT_WINDOW = 8 } part;

/* Returns the bits of a window, 8 to 15 without leading zeros; 0: the text is no such number. */
static int window_of(gl_text t) {
  if (gl_text_len(t) == 1 && (*t.at == '8' || *t.at == '9')) return *t.at - '0';
  return gl_text_len(t) == 2 && t.at[0] == '1' && t.at[1] >= '0' && t.at[1] <= '5' ? 10 + t.at[1] - '0' : 0;
}

/* Takes the value behind a parameter's name: a token, which may be in quotes. False: there is none. */
static bool take_value(gl_text *s, gl_text *value) {
  gl_text was = *s;
  if (!gl_take_char(s, '=')) return false;
  bool quoted = gl_take_char(s, '"');
  if (gl_take_token(s, value) && (!quoted || gl_take_char(s, '"'))) return true;
  *s = was;
  return false;
}

static void skip_blanks(gl_text *s) {
  while (gl_take_char(s, ' ') || gl_take_char(s, '\t')) {}
}

/* Takes note of one parameter. False: it is unknown, comes twice, or has a wrong value, so that the offer must be declined (RFC 7692, 7.1). */
static bool take_parameter(gl_text *s, offer *o, unsigned *seen) {
  gl_text name, value;
  if (!gl_take_token(s, &name)) return false;
  bool valued = take_value(s, &value);
  part which;
  if (gl_text_is(name, "server_no_context_takeover")) which = NO_SERVER_TAKEOVER;
  else if (gl_text_is(name, "client_no_context_takeover")) which = NO_CLIENT_TAKEOVER;
  else if (gl_text_is(name, "server_max_window_bits")) which = SERVER_WINDOW;
  else if (gl_text_is(name, "client_max_window_bits")) which = CLIENT_WINDOW;
  else return false;
  if (*seen & which) return false;
  *seen |= which;
  switch (which) {
    case NO_SERVER_TAKEOVER: o->server_takeover = false; return !valued;
    case NO_CLIENT_TAKEOVER: o->client_takeover = false; return !valued;
    case SERVER_WINDOW: return valued && (o->server_window = window_of(value)) != 0;
    case CLIENT_WINDOW: return (o->client_window = valued ? window_of(value) : GL_DEFLATE_WINDOW_MAX) != 0;
  }
  return false;
}

/* Reads an offer or an answer. `seen`: which parameters it has. False: it is of another extension, or must be declined. */
static bool read_offer(gl_text element, offer *o, unsigned *seen) {
  *o = (offer){.server_takeover = true, .client_takeover = true};
  gl_text name;
  *seen = 0;
  if (!gl_take_token(&element, &name) || !gl_text_is(name, "permessage-deflate")) return false;
  for (;;) {
    skip_blanks(&element);
    if (!gl_text_len(element)) return true;
    if (!gl_take_char(&element, ';')) return false;
    skip_blanks(&element);
    if (!take_parameter(&element, o, seen)) return false;
  }
}

static int least(int a, int b) { return a < b ? a : b; }

/* The terms that an offer and our wish come to. A limit for the client's window may be set only if the client said that it takes one. */
static void settle(const offer *o, const gl_permessage_wish *wish, gl_permessage_terms *terms) {
  terms->out_takeover = wish->takeover && o->server_takeover;
  terms->in_takeover = wish->takeover && o->client_takeover;
  terms->out_window = o->server_window ? least(o->server_window, wish->window) : wish->window;
  terms->in_window = o->client_window ? least(o->client_window, wish->window) : GL_DEFLATE_WINDOW_MAX;
}

static void write_answer(const offer *o, const gl_permessage_terms *terms, char answer[GL_PERMESSAGE_TEXT]) {
  char out[48] = "", in[48] = "";
  if (o->server_window || terms->out_window < GL_DEFLATE_WINDOW_MAX) snprintf(out, sizeof out, "; server_max_window_bits=%d", terms->out_window);
  if (o->client_window && terms->in_window < GL_DEFLATE_WINDOW_MAX) snprintf(in, sizeof in, "; client_max_window_bits=%d", terms->in_window);
  int n = snprintf(answer, GL_PERMESSAGE_TEXT, "permessage-deflate%s%s%s%s", terms->out_takeover ? "" : "; server_no_context_takeover",
                   terms->in_takeover ? "" : "; client_no_context_takeover", out, in);
  GL_CHECK(n > 0 && n < GL_PERMESSAGE_TEXT);
}

bool gl_permessage_agree(gl_text offers, const gl_permessage_wish *wish, gl_permessage_terms *terms, char answer[GL_PERMESSAGE_TEXT]) {
  gl_text element;
  offer o;
  unsigned seen;
  while (gl_take_element(&offers, &element)) {
    if (!read_offer(element, &o, &seen)) continue;
    settle(&o, wish, terms);
    write_answer(&o, terms, answer);
    return true;
  }
  return false;
}

void gl_permessage_offer(const gl_permessage_wish *wish, char out[GL_PERMESSAGE_TEXT]) {
  char limit[48] = "";
  if (wish->window < GL_DEFLATE_WINDOW_MAX) snprintf(limit, sizeof limit, "; server_max_window_bits=%d", wish->window);
  int n = snprintf(out, GL_PERMESSAGE_TEXT, "permessage-deflate%s%s; client_max_window_bits",
                   wish->takeover ? "" : "; server_no_context_takeover; client_no_context_takeover", limit);
  GL_CHECK(n > 0 && n < GL_PERMESSAGE_TEXT);
}

bool gl_permessage_accept(gl_text answer, const gl_permessage_wish *wish, gl_permessage_terms *terms) {
  gl_text element, other;
  offer o;
  unsigned seen;
  if (!gl_take_element(&answer, &element) || gl_take_element(&answer, &other) || !read_offer(element, &o, &seen)) return false;
  bool limited = wish->window < GL_DEFLATE_WINDOW_MAX; /* we asked for a limit of the server's window */
  if (!wish->takeover && o.server_takeover) return false;
  if (limited && (!o.server_window || o.server_window > wish->window)) return false;
  terms->in_takeover = o.server_takeover;
  terms->in_window = o.server_window ? o.server_window : GL_DEFLATE_WINDOW_MAX;
  terms->out_takeover = wish->takeover && o.client_takeover;
  terms->out_window = o.client_window ? least(o.client_window, wish->window) : wish->window;
  return true;
}

/* ---- the state of a socket ---- */

gl_permessage *gl_permessage_new(gl_deflate_pool *pool, const gl_permessage_wish *wish, const gl_permessage_terms *terms) {
  gl_permessage *p = gl_memory_resize(NULL, 0, sizeof *p);
  if (!p) return NULL;
  *p = (gl_permessage){.pool = gl_deflate_pool_ref(pool), .terms = *terms, .threshold = wish->threshold};
  return p;
}

void gl_permessage_free(gl_permessage *p) {
  if (!p) return;
  gl_deflater_free(p->deflater);
  gl_inflater_free(p->inflater);
  gl_deflate_pool_unref(p->pool);
  gl_memory_resize(p, sizeof *p, 0);
}

void gl_permessage_shared(gl_permessage *p) {
  if (p->deflater) gl_deflater_forget(p->deflater);
}

size_t gl_permessage_deflate_shared(gl_permessage *p, const void *bytes, size_t n, void *out) {
  gl_deflater *d = gl_deflate_pool_deflater(p->pool, GL_DEFLATE_WINDOW_MAX);
  return d ? gl_deflate_message(d, bytes, n, out, n, true) : 0;
}

static gl_deflater *deflater_of(gl_permessage *p) {
  if (!p->terms.out_takeover) return gl_deflate_pool_deflater(p->pool, p->terms.out_window);
  if (!p->deflater) p->deflater = gl_deflater_new(p->terms.out_window);
  return p->deflater;
}

size_t gl_permessage_deflate(gl_permessage *p, const void *bytes, size_t n, void *out) {
  gl_deflater *d = deflater_of(p);
  return d ? gl_deflate_message(d, bytes, n, out, n, !p->terms.out_takeover) : 0;
}

static gl_inflater *take_inflater(gl_permessage *p) {
  return p->terms.in_takeover ? gl_inflater_new(p->terms.in_window) : gl_deflate_pool_take(p->pool);
}

gl_decoded gl_permessage_inflate(gl_permessage *p, gl_coding_io *io) {
  if (!p->inflater && !(p->inflater = take_inflater(p))) return GL_DECODED_NO_MEMORY;
  return gl_inflate_some(p->inflater, io);
}

gl_decoded gl_permessage_end(gl_permessage *p, gl_coding_io *io) {
  if (!p->inflater && !(p->inflater = take_inflater(p))) return GL_DECODED_NO_MEMORY; /* the message had no byte */
  gl_decoded news = gl_inflate_end(p->inflater, io, !p->terms.in_takeover);
  if (news != GL_DECODED_MORE || p->terms.in_takeover) return news;
  gl_deflate_pool_give(p->pool, p->inflater);
  p->inflater = NULL;
  return news;
}
