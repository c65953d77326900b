/* SPDX-License-Identifier: MIT */
#include "process/execute.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/interrupt.h"
#include "io/module.h"

#define SHELL "/bin/sh"

void gl_shell_command(gl_command *cmd, char *argv[4], const char *line) {
  argv[0] = (char *)(uintptr_t)"sh"; /* its messages begin so, as after system() */
  argv[1] = (char *)(uintptr_t)"-c";
  argv[2] = (char *)(uintptr_t)line;
  argv[3] = NULL;
  *cmd = (gl_command){.argv = argv, .file = SHELL, .shell = true, .stdio = {GL_CHILD_INHERIT, GL_CHILD_INHERIT, GL_CHILD_INHERIT}};
}

int gl_push_execresult(lua_State *L, const gl_child *c) {
  if (c->ended_by || c->code) luaL_pushfail(L);
  else lua_pushboolean(L, 1);
  lua_pushstring(L, c->ended_by ? "signal" : "exit");
  lua_pushinteger(L, c->ended_by ? c->ended_by : (lua_Integer)c->code);
  return 3;
}

static int push_execute(lua_State *L, gl_op *op) {
  if (op->status == 0) return gl_push_execresult(L, ((gl_child_op *)op)->child);
  errno = -op->status;
  return luaL_fileresult(L, 0, NULL);
}

/* Kills all that the shell has started and waits for, too. */
static void cancel_execute(gl_op *op) {
  gl_child_kill(((gl_child_op *)op)->child, SIGKILL);
  gl_child_unwait(op);
}

static void free_execute(gl_op *op) {
  gl_interrupt_resume();
  gl_child_free_op(op);
}

static const gl_optype execute_type = {"os.execute", push_execute, cancel_execute, free_execute, gl_child_object};

static int os_execute(lua_State *L) {
  const char *line = luaL_optstring(L, 1, NULL);
  if (!line) {
    lua_pushboolean(L, access(SHELL, X_OK) == 0);
    return 1;
  }
  gl_command cmd;
  char *argv[4];
  gl_pipe *pipes[3];
  gl_io_before_start(L, false, true);
  gl_child_op *w = gl_op_new(L, &execute_type, sizeof *w, 0);
  gl_shell_command(&cmd, argv, line);
  gl_interrupt_suspend();
  int err = gl_child_start(w->op.host, &cmd, &w->child, pipes);
  if (!err) return gl_child_await(L, w, GL_FOREVER);
  gl_op_done(&w->op, err);
  return gl_await(L, &w->op, GL_FOREVER);
}

void gl_install_execute(lua_State *L) {
  lua_getglobal(L, "os");
  lua_pushcfunction(L, os_execute);
  lua_setfield(L, -2, "execute");
  lua_pop(L, 1);
}
