/* SPDX-License-Identifier: MIT */
#include "core/stall.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 12
#define REMINDER 10 /* seconds after which repetitions are reported, though the stall goes on coming */

static void write_stderr(const char *text, size_t n) {
  if (n > 0 && write(STDERR_FILENO, text, n) < 0) return; /* stderr is closed: there is nobody to tell */
}

static int64_t now_seconds(void) {
  struct timespec t = {0};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

/* Writes a few frames of L. lua_getinfo with these letters only reads, and allocates nothing. */
static size_t put_frames(char *out, size_t size, lua_State *L) {
  size_t len = 0;
  lua_Debug ar;
  for (int level = 0; level < FRAMES && lua_getstack(L, level, &ar) && lua_getinfo(L, "nSl", &ar); level++) {
    char line[160];
    const char *name = ar.name ? ar.name : "?";
    int n = ar.currentline > 0 ? snprintf(line, sizeof line, "\t%.60s:%d: in %.60s\n", ar.short_src, ar.currentline, name)
                               : snprintf(line, sizeof line, "\t[C]: in %.60s\n", name);
    if (n <= 0 || (size_t)n >= sizeof line || len + (size_t)n > size) break;
    memcpy(out + len, line, (size_t)n);
    len += (size_t)n;
  }
  return len;
}

bool gl_stall_in_c(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) && lua_getinfo(L, "S", &ar) && *ar.what == 'C';
}

void gl_stall_flush(gl_stall *s) {
  char line[64];
  if (!s->again) return;
  int n = snprintf(line, sizeof line, "greenlua: the same stall came %u times more\n", s->again);
  s->again = 0;
  s->when = now_seconds();
  write_stderr(line, n > 0 ? (size_t)n : 0);
}

void gl_stall_report(gl_stall *s, const char *what, lua_State *L) {
  char text[sizeof s->last];
  size_t len = strlen(what);
  if (len > sizeof text) return;
  memcpy(text, what, len);
  if (L) len += put_frames(text + len, sizeof text - len, L);
  if (len == s->len && memcmp(text, s->last, len) == 0) {
    s->again++;
    if (now_seconds() - s->when >= REMINDER) gl_stall_flush(s);
    return;
  }
  gl_stall_flush(s);
  memcpy(s->last, text, len);
  s->len = len;
  s->when = now_seconds();
  write_stderr(text, len);
}
