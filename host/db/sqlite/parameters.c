/* SPDX-License-Identifier: MIT */
#include "db/sqlite/parameters.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW 100       /* occurrences of `$`, at most, in a statement that is not rewritten */
#define MOST 250000   /* SQLite's own limit for the number of a parameter */
#define NUMBERED 64   /* the first so many slots are written ?1, ?2, ... and used again when their parameter appears again: SQLite
                       * looks numbers up one by one, so that a later parameter gets a new slot each time */

/* ---- the statement's words: enough of SQLite's grammar to tell parameters from quoted texts and comments ---- */

static bool is_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

static const char *skip_to(const char *at, const char *end, char stop) {
  const char *found = memchr(at, stop, (size_t)(end - at));
  return found ? found + 1 : end;
}

static const char *skip_comment(const char *at, const char *end) { /* at: after the slash and the asterisk */
  while ((at = skip_to(at, end, '*')) < end)
    if (*at == '/') return at + 1;
  return end;
}

/* Returns the end of the word that begins at `at`. */
static const char *skip_word(const char *at, const char *end) {
  switch (*at) {
    case '\'': case '"': case '`': return skip_to(at + 1, end, *at);
    case '[': return skip_to(at + 1, end, ']');
    case '-': return at + 1 < end && at[1] == '-' ? skip_to(at + 2, end, '\n') : at + 1;
    case '/': return at + 1 < end && at[1] == '*' ? skip_comment(at + 2, end) : at + 1;
    default: break;
  }
  if (!is_name(*at) && !strchr("?:@", *at)) return at + 1;
  for (at++; at < end && is_name(*at);) at++;
  return at;
}

static bool is_blank_word(const char *at) {
  return isspace((unsigned char)*at) || *at == ';' || strncmp(at, "--", 2) == 0 || strncmp(at, "/*", 2) == 0;
}

bool gl_sqlite_is_blank(const char *sql) {
  const char *end = sql + strlen(sql);
  while (sql < end && is_blank_word(sql)) sql = skip_word(sql, end);
  return sql == end;
}

bool gl_sqlite_has_more(const char *sql) {
  const char *end = sql + strlen(sql);
  while (sql < end && *sql != ';') sql = skip_word(sql, end);
  return !gl_sqlite_is_blank(sql);
}

/* Returns the number in a name: 12 for "$12", and 0 for every name that is not so written. */
static int number_of(const char *name, size_t len) {
  if (len < 2 || len > 7 || name[0] != '$' || name[1] < '1' || name[1] > '9') return 0;
  int n = 0;
  for (size_t i = 1; i < len; i++) {
    if (name[i] < '0' || name[i] > '9') return 0;
    n = n * 10 + (name[i] - '0');
  }
  return n <= MOST ? n : 0;
}

/* ---- many parameters: the statement is rewritten ---- */

typedef struct scan {
  gl_sqlite_parameters *p;
  int *slot_of; /* the slot of each parameter, by its number; 0 = the parameter has not appeared yet */
  int cap;      /* ints for which p->slots has room */
} scan;

static int refuse(gl_sqlite_fault *fault, const char *name, size_t len) {
  sqlite3_free(fault->message);
  fault->message = sqlite3_mprintf("parameters are written $1, $2, ...: not %.*s", (int)(len < 40 ? len : 40), name);
  return fault->code = SQLITE_MISUSE;
}

static int fail_memory(gl_sqlite_fault *fault) {
  sqlite3_free(fault->message);
  fault->message = sqlite3_mprintf("not enough memory");
  return fault->code = SQLITE_NOMEM;
}

static int new_slot(scan *s, int number) {
  gl_sqlite_parameters *p = s->p;
  if (p->nslots == s->cap) {
    int cap = s->cap ? 2 * s->cap : 4 * FEW;
    int *slots = realloc(p->slots, (size_t)cap * sizeof *slots);
    if (!slots) return 0;
    p->slots = slots;
    s->cap = cap;
  }
  p->slots[p->nslots++] = number;
  if (number > p->n) p->n = number;
  return p->nslots;
}

/* Returns the slot, from 1 on, for an occurrence of a parameter. 0: out of memory. */
static int slot_for(scan *s, int number) {
  int slot = s->slot_of[number];
  if (slot && slot <= NUMBERED) return slot;
  int made = new_slot(s, number);
  if (!slot) s->slot_of[number] = made;
  return made;
}

static int replace(scan *s, const char *word, size_t len, gl_sqlite_fault *fault) {
  char text[16];
  int number = number_of(word, len);
  if (!number) return refuse(fault, word, len);
  int slot = slot_for(s, number);
  if (!slot) return fail_memory(fault);
  int n = slot <= NUMBERED ? snprintf(text, sizeof text, "?%d", slot) : snprintf(text, sizeof text, "?");
  return gl_buf_add(&s->p->text, text, (size_t)n) ? SQLITE_OK : fail_memory(fault);
}

static int scan_words(scan *s, const char *sql, const char *end, gl_sqlite_fault *fault) {
  const char *kept = sql, *next;
  for (const char *at = sql; at < end; at = next) {
    next = skip_word(at, end);
    if (!strchr("$?:@", *at) || !*at) continue;
    if (!gl_buf_add(&s->p->text, kept, (size_t)(at - kept))) return fail_memory(fault);
    int rc = replace(s, at, (size_t)(next - at), fault);
    if (rc != SQLITE_OK) return rc;
    kept = next;
  }
  return gl_buf_add(&s->p->text, kept, (size_t)(end - kept) + 1) ? SQLITE_OK : fail_memory(fault);
}

static bool has_many(const char *sql, const char *end) {
  int n = 0;
  while (n <= FEW && (sql = memchr(sql, '$', (size_t)(end - sql))) != NULL) {
    sql++;
    n++;
  }
  return n > FEW;
}

int gl_sqlite_parameters_scan(gl_sqlite_parameters *p, const char *sql, int len, gl_sqlite_fault *fault) {
  *p = (gl_sqlite_parameters){0};
  if (!has_many(sql, sql + len)) return SQLITE_OK;
  scan s = {.p = p, .slot_of = calloc(MOST + 1, sizeof(int))};
  int rc = s.slot_of ? scan_words(&s, sql, sql + len, fault) : fail_memory(fault);
  free(s.slot_of);
  return rc;
}

/* ---- few parameters: SQLite is asked for their names ---- */

int gl_sqlite_parameters_ask(gl_sqlite_parameters *p, sqlite3_stmt *stmt, gl_sqlite_fault *fault) {
  int n = sqlite3_bind_parameter_count(stmt);
  if (p->text.data) {
    if (n == p->nslots) return SQLITE_OK;
    return refuse(fault, "what else is in the statement", 28); /* SQLite found parameters where scan_words found none */
  }
  if (!n) return SQLITE_OK;
  p->nslots = n;
  p->slots = malloc((size_t)n * sizeof *p->slots);
  if (!p->slots) return fail_memory(fault);
  for (int i = 0; i < n; i++) {
    const char *name = sqlite3_bind_parameter_name(stmt, i + 1);
    int number = p->slots[i] = name ? number_of(name, strlen(name)) : 0;
    if (!number) return refuse(fault, name ? name : "?", name ? strlen(name) : 1);
    if (number > p->n) p->n = number;
  }
  return SQLITE_OK;
}

void gl_sqlite_parameters_free(gl_sqlite_parameters *p) {
  gl_buf_free(&p->text);
  free(p->slots);
  *p = (gl_sqlite_parameters){0};
}
