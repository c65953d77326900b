/* SPDX-License-Identifier: MIT
 *
 * Warnings as the stock interpreter shows them. The state (off, on, within a message) is which of the
 * functions is set: there is nowhere else to keep it.
 */
#include "sys/warn.h"

#include <stdio.h>
#include <string.h>

#include "core/host.h"
#include "core/log.h"

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

/* ---- off, but for errors in finalizers: "error in ", "__gc", " (", the message, ")" ---- */

static void warn_errors(void *ud, const char *message, int more);

static void warn_rest(void *ud, const char *message, int more) {
  (void)message;
  if (!more) lua_setwarnf(ud, warn_errors, ud);
}

static void warn_message(void *ud, const char *message, int more) {
  gl_log(gl_host_of(ud), GL_LOG_ERROR, "a finalizer (__gc)", message, strlen(message), NULL);
  lua_setwarnf(ud, more ? warn_rest : warn_errors, ud);
}

static void warn_bracket(void *ud, const char *message, int more) {
  lua_setwarnf(ud, !more ? warn_errors : strcmp(message, " (") == 0 ? warn_message : warn_rest, ud);
}

static void warn_where(void *ud, const char *message, int more) {
  lua_setwarnf(ud, !more ? warn_errors : strcmp(message, "__gc") == 0 ? warn_bracket : warn_rest, ud);
}

static void warn_errors(void *ud, const char *message, int more) {
  if (more) lua_setwarnf(ud, strcmp(message, "error in ") == 0 ? warn_where : warn_rest, ud);
  else control(ud, message, more);
}

/* ---- off and on ---- */

/* A server asks for the errors that nobody else is told of; a script's are off, as under lua. */
static void warn_off(void *ud, const char *message, int more) {
  if (!more && strcmp(message, "@errors") == 0) lua_setwarnf(ud, warn_errors, ud);
  else control(ud, message, more);
}

static void warn_on(void *ud, const char *message, int more) {
  if (control(ud, message, more)) return;
  fputs("Lua warning: ", stderr);
  warn_more(ud, message, more);
}

void gl_install_warn(lua_State *L) { lua_setwarnf(L, warn_off, L); }
