/* SPDX-License-Identifier: MIT
 *
 * Warnings as the stock interpreter shows them. The state (off, on, within a message) is which of the
 * three functions is set: there is nowhere else to keep it.
 */
#include "sys/warn.h"

#include <stdio.h>
#include <string.h>

static void warn_off(void *ud, const char *message, int more);
static void warn_on(void *ud, const char *message, int more);

static void warn_more(void *ud, const char *message, int more) {
  fputs(message, stderr);
  if (!more) fputc('\n', stderr);
  fflush(stderr);
  lua_setwarnf(ud, more ? warn_more : warn_on, ud);
}

/* A message of one piece that starts with '@' is for us; unknown ones are ignored. */
static int control(lua_State *L, const char *message, int more) {
  if (more || *message != '@') return 0;
  if (strcmp(message, "@off") == 0) lua_setwarnf(L, warn_off, L);
  else if (strcmp(message, "@on") == 0) lua_setwarnf(L, warn_on, L);
  return 1;
}

static void warn_off(void *ud, const char *message, int more) { control(ud, message, more); }

static void warn_on(void *ud, const char *message, int more) {
  if (control(ud, message, more)) return;
  fputs("Lua warning: ", stderr);
  warn_more(ud, message, more);
}

void gl_open_warn(lua_State *L) { lua_setwarnf(L, warn_off, L); }
