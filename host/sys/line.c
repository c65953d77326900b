/* SPDX-License-Identifier: MIT
 *
 * A line of stdin for the REPL, read on the pool: tasks go on while a person types. It goes through stdio,
 * so that io.read in the REPL finds what follows.
 */
#include "sys/line.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/op.h"
#include "core/work.h"

typedef struct line_op {
  gl_work work;
  char *text;
  ssize_t len; /* < 0: end of file */
} line_op;

/* A terminal is polled first: getline would hold the lock of stdin while the person thinks, and who
 * flushes all streams (os.exit) would wait for it. */
static void run_line(gl_work *w) {
  line_op *l = (line_op *)w;
  struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
  if (isatty(STDIN_FILENO))
    while (poll(&in, 1, -1) < 0 && errno == EINTR) continue;
  size_t room = 0;
  l->len = getline(&l->text, &room, stdin);
  if (l->len >= 0) return;
  if (ferror(stdin)) w->result = uv_translate_sys_error(errno);
  clearerr(stdin); /* a terminal may go on after ^D */
}

static int push_line(lua_State *L, gl_op *op) {
  line_op *l = (line_op *)op;
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, "stdin");
  if (l->len < 0) {
    lua_pushnil(L);
    return 1;
  }
  size_t len = (size_t)l->len;
  if (len && l->text[len - 1] == '\n') len--;
  lua_pushlstring(L, l->text, len);
  return 1;
}

static void free_line(gl_op *op) { free(((line_op *)op)->text); }

static const gl_optype line_type = {"repl.read", push_line, gl_work_cancel, free_line};

static int repl_read(lua_State *L) {
  size_t len;
  const char *prompt = luaL_checklstring(L, 1, &len);
  line_op *l = gl_op_new(L, &line_type, sizeof *l, 0);
  fwrite(prompt, 1, len, stdout);
  fflush(stdout);
  l->work.run = run_line;
  return gl_work_await(L, &l->work, GL_FOREVER);
}

int gl_open_line(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", repl_read}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
