/* SPDX-License-Identifier: MIT */
#include "core/stall.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT 2048   /* bytes of the longest report */
#define FRAMES 12
#define REMINDER 10 /* seconds after which repetitions are reported, though the stall goes on coming */

/* A report that is being written. */
typedef struct report {
  char text[TEXT];
  size_t len;
  size_t place;   /* bytes of the text that are the place: all that follows may differ from task to task */
  char name[sizeof((gl_stall_place *)0)->name];
} report;

static void write_stderr(const char *text, size_t n) {
  if (n > 0 && write(STDERR_FILENO, text, n) < 0) return; /* stderr is closed: there is nobody to tell */
}

static int64_t now_seconds(void) {
  struct timespec t = {0};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

static bool put(report *r, const char *text, size_t n) {
  if (n > sizeof r->text - r->len) return false;
  memcpy(r->text + r->len, text, n);
  r->len += n;
  return true;
}

/* Writes a few frames of L. lua_getinfo with these letters only reads, and allocates nothing. */
static void put_frames(report *r, lua_State *L) {
  lua_Debug ar;
  for (int level = 0; level < FRAMES && lua_getstack(L, level, &ar) && lua_getinfo(L, "nSl", &ar); level++) {
    char line[160];
    const char *name = ar.name ? ar.name : "?";
    int n = ar.currentline > 0 ? snprintf(line, sizeof line, "\t%.60s:%d: in %.60s\n", ar.short_src, ar.currentline, name)
                               : snprintf(line, sizeof line, "\t[C]: in %.60s\n", name);
    if (n <= 0 || (size_t)n >= sizeof line || !put(r, line, (size_t)n)) return;
    if (r->place || ar.currentline <= 0) continue;
    r->place = r->len;
    snprintf(r->name, sizeof r->name, "%.60s:%d", ar.short_src, ar.currentline);
  }
}

static void put_task(report *r, uint64_t id) {
  char line[40];
  put(r, line, (size_t)snprintf(line, sizeof line, "\t(...task %" PRIu64 ")\n", id));
}

/* FNV-1a; never 0. */
static uint64_t hash(const char *text, size_t n) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)text[i]) * 1099511628211u;
  return h ? h : 1;
}

bool gl_stall_in_c(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) && lua_getinfo(L, "S", &ar) && *ar.what == 'C';
}

/* Reports how often the stall came since it was reported last. */
static void report_again(gl_stall_place *p) {
  char line[160];
  if (!p->again) return;
  int n = snprintf(line, sizeof line, "greenlua: the stall at %s came %u times more\n", p->name, p->again);
  p->again = 0;
  p->when = now_seconds();
  write_stderr(line, n > 0 ? (size_t)n : 0);
}

void gl_stall_flush(gl_stall *s) {
  for (size_t i = 0; i < GL_STALL_PLACES; i++) report_again(&s->place[i]);
}

static gl_stall_place *find(gl_stall *s, uint64_t key) {
  for (size_t i = 0; i < GL_STALL_PLACES; i++)
    if (s->place[i].key == key) return &s->place[i];
  return NULL;
}

static void add(gl_stall *s, uint64_t key, const char *name) {
  gl_stall_place *p = &s->place[s->next++ % GL_STALL_PLACES];
  report_again(p);
  *p = (gl_stall_place){.key = key, .when = now_seconds()};
  snprintf(p->name, sizeof p->name, "%s", name);
}

void gl_stall_report(gl_stall *s, const char *what, lua_State *L, uint64_t task, const char *advice) {
  report r = {.name = "a place without a line"};
  if (!put(&r, what, strlen(what))) return;
  if (L) put_frames(&r, L);
  uint64_t key = hash(r.text, r.place ? r.place : r.len);
  gl_stall_place *known = find(s, key);
  if (known) {
    known->again++;
    if (now_seconds() - known->when >= REMINDER) report_again(known);
    return;
  }
  add(s, key, r.name);
  if (task) put_task(&r, task);
  if (advice) put(&r, advice, strlen(advice));
  write_stderr(r.text, r.len);
}
