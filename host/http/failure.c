/* SPDX-License-Identifier: MIT */
#include "http/failure.h"

#include <stdio.h>
#include <string.h>

#include "h1/status.h"
#include "json/text.h"

#define LONGEST 6 /* bytes that one byte may become: &quot; */

/* Does the client prefer a page to JSON? Only clients that name HTML do: curl and fetch accept anything. */
static bool wants_page(gl_text accept) {
  return gl_field_quality(accept, "text/html") > 0 && gl_field_quality(accept, "text/html") > gl_field_quality(accept, "application/json");
}

static void put(gl_failure_body *b, const char *text, size_t n) {
  memcpy(b->bytes + b->n, text, n);
  b->n += n;
}

static void put_string(gl_failure_body *b, const char *text) { put(b, text, strlen(text)); }

/* Returns what a character is written as; NULL: as the character itself. */
static const char *escaped(char c, bool page) {
  if ((unsigned char)c < 0x20) return " ";
  switch (c) {
    case '"': return page ? "&quot;" : "\\\"";
    case '\\': return page ? NULL : "\\\\";
    case '<': return page ? "&lt;" : NULL;
    case '>': return page ? "&gt;" : NULL;
    case '&': return page ? "&amp;" : NULL;
    default: return NULL;
  }
}

/* Writes as much of the text as leaves `rest` bytes free. */
static void put_text(gl_failure_body *b, const char *text, bool page, size_t rest) {
  const char *end = text + strlen(text);
  int n; /* bytes of a character; 0: the byte is no character */
  for (const char *at = text; at < end && b->n + LONGEST + rest < sizeof b->bytes; at += n ? n : 1) {
    n = (unsigned char)*at < 0x80 ? 1 : gl_text_utf8(at, end);
    const char *instead = n == 0 ? "?" : n == 1 ? escaped(*at, page) : NULL;
    if (instead) put_string(b, instead);
    else put(b, at, (size_t)n);
  }
}

static void write_json(gl_failure_body *b, const char *reason) {
  b->type = "application/json";
  put_string(b, "{\"error\":\"");
  put_text(b, reason, false, 8);
  put_string(b, "\"}\n");
}

static void write_page(gl_failure_body *b, int status, const char *reason) {
  char title[80];
  snprintf(title, sizeof title, "%d %s", status, gl_status_reason(status));
  b->type = "text/html; charset=utf-8";
  put_string(b, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
  put_string(b, title);
  put_string(b, "</title>\n<style>\n:root { color-scheme: light dark }\n"
    "body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 18vh auto 0; padding: 0 1.5rem; overflow-wrap: anywhere }\n"
    "h1 { font-size: 1.6rem; margin: 0 0 .5rem }\np { margin: 0; opacity: .75 }\n</style>\n<h1>");
  put_string(b, title);
  put_string(b, "</h1>\n<p>");
  put_text(b, reason, true, 16);
  put_string(b, "</p>\n");
}

void gl_failure_write(gl_failure_body *b, gl_text accept, int status, const char *reason) {
  b->n = 0;
  if (wants_page(accept)) write_page(b, status, reason);
  else write_json(b, reason);
}

void gl_failure_send(gl_exchange *x, gl_text accept, int status, const char *reason, bool close) {
  gl_failure_body body;
  gl_failure_write(&body, accept, status, reason);
  gl_message_head head = {
    .status = (uint16_t)status, .type = body.type, .length = (int64_t)body.n, .upgrade = status == 426,
    .close = close || status == 408 || status == 413 || status == 417,
  };
  if (x->carrier->send(x, &head, body.bytes, body.n) != 0) x->carrier->cut(x);
}
