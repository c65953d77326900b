/* SPDX-License-Identifier: MIT
 *
 * Waiting for signals of the process. One op has a uv_signal_t for each signal it waits for, and is done when all of them are
 * closed, so that their memory may go with the op.
 *
 *     WAITING --- on_signal (the first one), cancel_wait: finish ---> CLOSING --- on_close, the last handle ---> done
 */
#include "sys/signal.h"

#include <signal.h>
#include <string.h>

#include "core/backstop.h"
#include "core/error.h"
#include "core/op.h"
#include "core/task.h"

#define WAIT "signal.wait"

static const struct {
  const char *name;
  int number;
} signals[] = {
  {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},   {"PIPE", SIGPIPE},
  {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH},
};
#define SIGNALS (sizeof signals / sizeof *signals)

typedef struct signal_op {
  gl_op op;
  int used;     /* handles that were started */
  int open;     /* of those, how many are not closed yet */
  bool closing; /* CLOSING */
  int status;   /* CLOSING: what op.status will be */
  int came;     /* the signal that came */
  uv_signal_t handle[SIGNALS];
} signal_op;

static void on_close(uv_handle_t *handle) {
  signal_op *s = handle->data;
  if (--s->open == 0) gl_op_done(&s->op, s->status);
}

static void finish(signal_op *s, int status) {
  if (s->closing) return; /* a second signal, or a cancel after one */
  s->closing = true;
  s->status = status;
  for (int i = 0; i < s->used; i++) uv_close((uv_handle_t *)&s->handle[i], on_close);
}

static bool ends_program(int number) { return number == SIGTERM || number == SIGINT || number == SIGQUIT; }

static void on_signal(uv_signal_t *handle, int number) {
  signal_op *s = handle->data;
  if (!s->closing) s->came = number;
  if (!s->closing && s->op.task && ends_program(number)) s->op.task->graced = true; /* the task has something to do before the end */
  finish(s, 0);
}

static void cancel_wait(gl_op *op) { finish((signal_op *)op, UV_ECANCELED); }

static int push_wait(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  for (size_t i = 0; i < SIGNALS; i++)
    if (signals[i].number == ((signal_op *)op)->came) lua_pushstring(L, signals[i].name);
  return 1;
}

static const gl_optype wait_type = {WAIT, push_wait, cancel_wait, NULL};

static int check_signal(lua_State *L, int idx) {
  const char *name = luaL_checkstring(L, idx);
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (size_t i = 0; i < SIGNALS; i++)
    if (strcmp(signals[i].name, name) == 0) return signals[i].number;
  return luaL_argerror(L, idx, lua_pushfstring(L, "unknown signal '%s'", name));
}

static int start_handle(signal_op *s, uv_signal_t *handle, int number) {
  int err = uv_signal_init(&s->op.host->loop, handle);
  if (err) return err;
  handle->data = s;
  s->used++;
  s->open++;
  err = uv_signal_start(handle, on_signal, number);
  if (!err) gl_backstop_watch(number);
  return err;
}

static int signal_wait(lua_State *L) {
  int n = lua_gettop(L), wanted[SIGNALS];
  double timeout = GL_FOREVER;
  if (n > 1 && lua_type(L, n) != LUA_TSTRING) timeout = gl_check_timeout(L, n--, GL_FOREVER);
  luaL_argcheck(L, n <= (int)SIGNALS, n, "too many signals");
  luaL_checkstring(L, 1);
  for (int i = 0; i < n; i++) wanted[i] = check_signal(L, i + 1);
  signal_op *s = gl_op_new(L, &wait_type, sizeof *s, 0);
  if (s->op.host->task) s->op.host->task->graced = false; /* the task has done that, and waits for the next signal */
  for (int i = 0, err = 0; i < n && !err; i++) {
    err = start_handle(s, &s->handle[i], wanted[i]);
    if (err && s->open) finish(s, err);
    else if (err) gl_op_done(&s->op, err);
  }
  return gl_await(L, &s->op, timeout);
}

/* A handler that does nothing: programs that are started do not inherit it, as they would SIG_IGN. */
static void on_ignored(int number) { (void)number; }

static int signal_ignore(lua_State *L) {
  struct sigaction action = {.sa_handler = on_ignored, .sa_flags = SA_RESTART};
  sigaction(check_signal(L, 1), &action, NULL);
  return 0;
}

int luaopen_green_signal(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", signal_wait}, {"ignore", signal_ignore}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
