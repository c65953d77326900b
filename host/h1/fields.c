/* SPDX-License-Identifier: MIT */
#include "h1/fields.h"

#include <string.h>
#include <strings.h>

#include "core/hex.h"

/* ---- characters and words ---- */

bool gl_is_token_char(char c) {
  static const uint32_t set[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff}; /* RFC 9110, 5.6.2 */
  uint8_t byte = (uint8_t)c;
  return set[byte >> 5] >> (byte & 31) & 1;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_control(char c) { return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f; }

static void skip_blanks(gl_text *s) {
  while (s->at < s->end && is_blank(*s->at)) s->at++;
}

static bool next_is(const gl_text *s, char c) { return s->at < s->end && *s->at == c; }

bool gl_field_may_trail(const char *name, size_t n) {
  static const char *const of_head[] = {
    "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie", "date",
    "expect", "host", "keep-alive", "max-forwards", "range", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", NULL};
  if (n > 6 && strncasecmp(name, "proxy-", 6) == 0) return false;
  for (const char *const *each = of_head; *each; each++)
    if (strlen(*each) == n && strncasecmp(*each, name, n) == 0) return false;
  return true;
}

bool gl_take_char(gl_text *s, char c) {
  if (!next_is(s, c)) return false;
  s->at++;
  return true;
}

bool gl_take_word(gl_text *s, const char *word) {
  size_t n = strlen(word);
  if (gl_text_len(*s) < n || memcmp(s->at, word, n) != 0) return false;
  s->at += n;
  return true;
}

static bool is_same(gl_text a, gl_text b) { return gl_text_len(a) == gl_text_len(b) && memcmp(a.at, b.at, gl_text_len(a)) == 0; }

bool gl_text_is(gl_text t, const char *word) {
  size_t n = strlen(word);
  return gl_text_len(t) == n && strncasecmp(t.at, word, n) == 0;
}

bool gl_text_equals(gl_text a, gl_text b) {
  return gl_text_len(a) == gl_text_len(b) && strncasecmp(a.at, b.at, gl_text_len(a)) == 0;
}

gl_text gl_text_trim(gl_text t) {
  skip_blanks(&t);
  while (t.end > t.at && is_blank(t.end[-1])) t.end--;
  return t;
}

bool gl_take_token(gl_text *s, gl_text *token) {
  const char *from = s->at;
  while (s->at < s->end && gl_is_token_char(*s->at)) s->at++;
  *token = (gl_text){from, s->at};
  return s->at > from;
}

/* ---- quoted strings ---- */

static bool is_escape(const char *p, const char *end, gl_quoting quoting) {
  if (quoting == GL_QUOTING_NONE || *p != '\\' || p + 1 == end) return false;
  return quoting == GL_QUOTING_RFC || p[1] == '"' || p[1] == '\\';
}

/* Takes a quoted string; `inside` is the text between its quotes, still with its backslashes. */
static bool take_quoted(gl_text *s, gl_quoting quoting, gl_text *inside) {
  if (!next_is(s, '"')) return false;
  for (const char *p = s->at + 1; p < s->end && !is_control(*p); p++) {
    if (*p == '"') {
      *inside = (gl_text){s->at + 1, p};
      s->at = p + 1;
      return true;
    }
    if (is_escape(p, s->end, quoting)) p++;
  }
  return false;
}

size_t gl_unquote(gl_text inside, gl_quoting quoting, char *out) {
  char *to = out;
  for (const char *p = inside.at; p < inside.end; p++) {
    if (is_escape(p, inside.end, quoting)) p++;
    *to++ = *p;
  }
  return (size_t)(to - out);
}

/* ---- lists and parameters ---- */

bool gl_take_element(gl_text *list, gl_text *element) {
  while (list->at < list->end && (is_blank(*list->at) || *list->at == ',')) list->at++;
  const char *from = list->at, *p = from;
  for (bool quoted = false; p < list->end && (quoted || *p != ','); p++) {
    if (*p == '"') quoted = !quoted;
    else if (quoted && *p == '\\' && p + 1 < list->end) p++;
  }
  *element = gl_text_trim((gl_text){from, p});
  list->at = p;
  return from < p;
}

static bool take_bare(gl_text *s, gl_text *value) {
  const char *from = s->at;
  while (s->at < s->end && !is_blank(*s->at) && !is_control(*s->at) && !strchr(";\"\\", *s->at)) s->at++;
  *value = (gl_text){from, s->at};
  return s->at > from;
}

/* Moves to the name of the next parameter. Returns 1; 0: the text has ended; -1: something else is there. */
static int to_parameter(gl_text *s) {
  skip_blanks(s);
  if (s->at == s->end) return 0;
  if (*s->at != ';') return -1;
  while (s->at < s->end && (is_blank(*s->at) || *s->at == ';')) s->at++;
  return s->at < s->end;
}

bool gl_take_name_value(gl_text *s, gl_quoting quoting, gl_parameter *p) {
  p->quoted = false;
  if (!gl_take_token(s, &p->name) || !gl_take_char(s, '=')) return false;
  if (take_bare(s, &p->value)) return true;
  return p->quoted = take_quoted(s, quoting, &p->value);
}

int gl_take_parameter(gl_text *s, gl_quoting quoting, gl_parameter *p) {
  gl_text was = *s;
  int more = to_parameter(s);
  if (more == 1 && gl_take_name_value(s, quoting, p)) return 1;
  *s = was;
  return more ? -1 : 0;
}

/* ---- preferences ---- */

/* Returns a weight (RFC 9110, 12.4.2) in thousandths. -1: the text is no weight. */
static int weight_of(gl_text t) {
  if (t.at == t.end || (*t.at != '0' && *t.at != '1')) return -1;
  int weight = (*t.at++ - '0') * 1000, unit = 100;
  if (t.at == t.end) return weight;
  if (*t.at++ != '.') return -1;
  for (; t.at < t.end && is_digit(*t.at) && unit; t.at++, unit /= 10) weight += (*t.at - '0') * unit;
  return t.at == t.end && weight <= 1000 ? weight : -1;
}

/* Returns how exactly the name of an element fits `what`: 3 = it is the same, 2 = the type, 1 = an asterisk alone, 0 = it does not. */
static int match_of(gl_text name, const char *what) {
  if (gl_text_is(name, what)) return 3;
  if (gl_text_is(name, "*") || gl_text_is(name, "*/*")) return 1;
  const char *slash = strchr(what, '/');
  size_t n = slash ? (size_t)(slash - what) + 1 : 0;
  return n && gl_text_len(name) == n + 1 && name.at[n] == '*' && strncasecmp(name.at, what, n) == 0 ? 2 : 0;
}

/* Takes the weight behind the name of an element and returns it; 1000 if there is none, -1 if the parameters are malformed. */
static int take_weight(gl_text *s) {
  gl_parameter p;
  int weight = 1000, more;
  while ((more = gl_take_parameter(s, GL_QUOTING_RFC, &p)) == 1) {
    if (!gl_text_is(p.name, "q")) continue;
    weight = p.quoted ? -1 : weight_of(p.value);
    if (weight < 0) return -1;
  }
  return more < 0 ? -1 : weight;
}

int gl_field_quality(gl_text field, const char *what) {
  int best = 0, quality = -1;
  gl_text element, name, sub;
  while (gl_take_element(&field, &element)) {
    if (!gl_take_token(&element, &name)) continue;
    if (gl_take_char(&element, '/')) {
      if (!gl_take_token(&element, &sub)) continue;
      name.end = sub.end;
    }
    int match = match_of(name, what), weight = match > best ? take_weight(&element) : -1;
    if (weight < 0) continue;
    best = match;
    quality = weight;
  }
  return quality;
}

/* ---- entity tags ---- */

static bool take_tag(gl_text *s, bool *weak, gl_text *tag) {
  *weak = gl_take_word(s, "W/");
  if (!next_is(s, '"')) return false;
  const char *p = s->at + 1;
  while (p < s->end && (uint8_t)*p > 0x20 && *p != '"' && *p != 0x7f) p++;
  if (p == s->end || *p != '"') return false;
  *tag = (gl_text){s->at, p + 1};
  s->at = p + 1;
  return true;
}

bool gl_field_has_tag(gl_text field, gl_text tag, bool strong) {
  bool weak, listed_weak;
  gl_text own, listed;
  if (gl_text_is(gl_text_trim(field), "*")) return true;
  if (!take_tag(&tag, &weak, &own) || (strong && weak)) return false;
  for (;;) {
    while (field.at < field.end && (is_blank(*field.at) || *field.at == ',')) field.at++;
    if (!take_tag(&field, &listed_weak, &listed)) return false;
    if (is_same(own, listed) && !(strong && listed_weak)) return true;
    skip_blanks(&field);
    if (field.at < field.end && *field.at != ',') return false;
  }
}

/* ---- ranges ---- */

/* Takes a number; one that 63 bits do not hold is INT64_MAX, which is larger than any file. */
static bool take_number(gl_text *s, int64_t *number) {
  const char *from = s->at;
  *number = 0;
  for (; s->at < s->end && is_digit(*s->at); s->at++) {
    int digit = *s->at - '0';
    *number = *number > (INT64_MAX - digit) / 10 ? INT64_MAX : *number * 10 + digit;
  }
  return s->at > from;
}

/* Reads one range of the list. Returns 1; 0: it begins behind the end; -1: it is malformed, or asks for the last 0 bytes. */
static int range_of(gl_text spec, int64_t size, gl_range *r) {
  bool first = take_number(&spec, &r->first);
  skip_blanks(&spec);
  if (!gl_take_char(&spec, '-')) return -1;
  skip_blanks(&spec);
  bool last = take_number(&spec, &r->last);
  if (spec.at != spec.end || (!first && !last)) return -1;
  if (!first) {
    int64_t n = r->last;
    if (n == 0) return 0;
    if (size == 0) return -1;
    *r = (gl_range){n < size ? size - n : 0, size - 1};
    return 1;
  }
  if (last && r->last < r->first) return -1;
  if (!last || r->last >= size) r->last = size - 1;
  return r->first < size;
}

int gl_field_ranges(gl_text field, int64_t size, gl_range *ranges, int max) {
  gl_text unit, spec;
  gl_range r;
  int asked = 0, n = 0;
  int64_t left = size;
  skip_blanks(&field);
  if (!gl_take_token(&field, &unit) || !gl_text_is(unit, "bytes") || !gl_take_char(&field, '=')) return -1;
  while (gl_take_element(&field, &spec)) {
    int is = range_of(spec, size, &r);
    if (is < 0 || ++asked > max) return -1;
    if (!is) continue;
    left -= r.last - r.first + 1;
    if (left < 0) return -1;
    ranges[n++] = r;
  }
  return asked ? n : -1;
}

/* ---- cookies, forms, header lines ---- */

/* Takes the text up to the next `mark`, and the mark, or up to the end. */
static gl_text take_until(gl_text *s, char mark) {
  const char *from = s->at, *found = from < s->end ? memchr(from, mark, gl_text_len(*s)) : NULL;
  gl_text piece = {from, found ? found : s->end};
  s->at = found ? found + 1 : s->end;
  return piece;
}

static bool is_cookie_name(gl_text name) {
  for (const char *p = name.at; p < name.end; p++)
    if (is_blank(*p) || is_control(*p)) return false;
  return name.at < name.end;
}

bool gl_take_cookie(gl_text *s, gl_text *name, gl_text *value) {
  while (s->at < s->end) {
    gl_text piece = take_until(s, ';');
    const char *sign = memchr(piece.at, '=', gl_text_len(piece));
    if (!sign) continue;
    *name = gl_text_trim((gl_text){piece.at, sign});
    *value = gl_text_trim((gl_text){sign + 1, piece.end});
    if (!is_cookie_name(*name)) continue;
    if (gl_text_len(*value) >= 2 && *value->at == '"' && value->end[-1] == '"') {
      value->at++;
      value->end--;
    }
    return true;
  }
  return false;
}

bool gl_take_pair(gl_text *s, gl_text *name, gl_text *value) {
  while (next_is(s, '&')) s->at++;
  if (s->at == s->end) return false;
  gl_text piece = take_until(s, '&');
  *name = take_until(&piece, '=');
  *value = piece;
  return true;
}

static bool has_control(gl_text t) {
  for (; t.at < t.end; t.at++)
    if (is_control(*t.at)) return true;
  return false;
}

int gl_take_line(gl_text *s, gl_text *name, gl_text *value) {
  if (s->at == s->end) return 0;
  gl_text line = take_until(s, '\n');
  if (line.end == line.at || line.end[-1] != '\r') return -1;
  line.end--;
  if (!gl_take_token(&line, name) || !gl_take_char(&line, ':')) return -1;
  *value = gl_text_trim(line);
  return has_control(*value) ? -1 : 1;
}

long gl_form_decode(gl_text t, char *out) {
  char *to = out;
  for (const char *p = t.at; p < t.end; p++) {
    char c = *p == '+' ? ' ' : *p;
    if (c == '%') {
      int high = t.end - p > 2 ? gl_hex(p[1]) : -1, low = high < 0 ? -1 : gl_hex(p[2]);
      if (low < 0) return -1;
      c = (char)(high << 4 | low);
      p += 2;
    }
    *to++ = c;
  }
  return to - out;
}
