/* SPDX-License-Identifier: MIT */
#include "db/postgres/script.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_letter(char c) { return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80; }
static bool is_part_of_name(char c) { return is_letter(c) || isdigit((unsigned char)c) || c == '$'; }
static bool is_blank(char c) { return c && strchr(" \t\n\r\f\v", c); }

/* Each of these returns where what begins at `at` is over; at the latest at the NUL. */

/* A quote that is doubled ends and begins a text anew. */
static const char *skip_quoted(const char *at, bool escapes) {
  char quote = *at++;
  for (; *at && *at != quote; at++)
    if (escapes && *at == '\\' && at[1]) at++;
  return *at ? at + 1 : at;
}

static const char *skip_line(const char *at) { return at + strcspn(at, "\n"); }

static const char *skip_comment(const char *at) { /* they nest */
  int depth = 0;
  for (; *at; at++) {
    if (at[0] == '/' && at[1] == '*') depth++, at++;
    else if (at[0] == '*' && at[1] == '/' && (at++, --depth == 0)) return at + 1;
  }
  return at;
}

/* $$...$$, $tag$...$tag$; or no more than the sign, as in $1. */
static const char *skip_dollars(const char *at) {
  const char *tag = at + 1;
  if (is_letter(*tag))
    while (*tag != '$' && is_part_of_name(*tag)) tag++;
  if (*tag != '$') return at + 1;
  size_t n = (size_t)(tag + 1 - at);
  for (const char *end = tag + 1; (end = strchr(end, '$')) != NULL; end++)
    if (strncmp(end, at, n) == 0) return end + n;
  return tag + strlen(tag);
}

static const char *skip_name(const char *at) {
  while (is_part_of_name(*at)) at++;
  return at;
}

static bool is_word(const char *from, const char *to, const char *word) {
  size_t n = strlen(word);
  return (size_t)(to - from) == n && strncasecmp(from, word, n) == 0;
}

typedef struct reader {
  const char *at;
  int parentheses;
  int bodies;   /* BEGIN ATOMIC, and CASE in there, without their END */
  bool begins;  /* the last word was BEGIN */
} reader;

static void read_name(reader *r) {
  const char *end = skip_name(r->at);
  bool escapes = is_word(r->at, end, "e") && *end == '\'';
  if ((r->begins && is_word(r->at, end, "atomic")) || (r->bodies && is_word(r->at, end, "case"))) r->bodies++;
  else if (r->bodies && is_word(r->at, end, "end")) r->bodies--;
  r->begins = is_word(r->at, end, "begin");
  r->at = escapes ? skip_quoted(end, true) : end;
}

static void read_one(reader *r) {
  const char *at = r->at;
  switch (*at) {
    case '\'': case '"': r->at = skip_quoted(at, false); break;
    case '$': r->at = skip_dollars(at); break;
    case '(': r->parentheses++, r->at++; break;
    case ')': r->parentheses -= r->parentheses > 0, r->at++; break;
    default:
      if (is_letter(*at)) read_name(r);
      else if (isdigit((unsigned char)*at)) r->at = skip_name(at);
      else r->at++;
  }
}

const char *gl_pg_script_end(const char *sql, bool *blank) {
  reader r = {.at = sql};
  *blank = true;
  while (*r.at) {
    const char *at = r.at;
    if (*at == ';' && !r.parentheses && !r.bodies) return at;
    if (at[0] == '-' && at[1] == '-') r.at = skip_line(at);
    else if (at[0] == '/' && at[1] == '*') r.at = skip_comment(at);
    else if (is_blank(*at)) r.at++;
    else {
      *blank = false;
      read_one(&r);
    }
  }
  return r.at;
}
