/* SPDX-License-Identifier: MIT
 *
 * io.popen with the stock meaning: a file over one end of a pipe, whose close waits for the command and returns how it ended. To
 * cancel the close ends the command, and so does a task that fails; when the file is collected, the command goes on and is reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/scope.h"
#include "io/module.h"
#include "io/stdio.h"
#include "process/execute.h"

#define GRACE 5.0 /* seconds between TERM and KILL for a command whose close was cancelled */

/* ---- close ---- */

static int push_close(lua_State *L, gl_op *op) { return gl_push_execresult(L, ((gl_child_op *)op)->child); }

static void cancel_close(gl_op *op) {
  gl_child_end(((gl_child_op *)op)->child, GRACE);
  gl_child_unwait(op);
}

static const gl_optype close_type = {"io.close", push_close, cancel_close, gl_child_free_op, gl_child_object};

/* Bytes that were written leave while the task waits for the command, which may need them to end. */
static int close_popen(lua_State *L) {
  gl_stdio *s = lua_touserdata(L, 1);
  gl_child *c = s->owner;
  gl_file_close_async(s->file);
  if (s->collected || !gl_host_of(L)->task) return 0;
  if (gl_scope_check(gl_host_of(L)->task) != GL_DONE) gl_child_end(c, GRACE); /* the wait will be refused */
  gl_child_op *w = gl_op_new(L, &close_type, sizeof *w, 0);
  s->owner = NULL;
  w->child = c;
  return gl_child_await(L, w, GL_FOREVER);
}

static void drop_child(void *owner) { gl_child_unref(owner); }

/* ---- open ---- */

/* Makes the pipe: *ours never blocks, *theirs does, as commands expect. Returns 0 or UV_E*. */
static int make_pipe(bool writes, int *ours, int *theirs) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return -errno;
  *ours = fds[writes];
  fcntl(*ours, F_SETFL, fcntl(*ours, F_GETFL) | O_NONBLOCK);
  *theirs = fds[!writes];
  return 0;
}

/* Starts the command at the other end of a pipe. Returns 0 or UV_E*. */
static int start(gl_host *h, const char *line, bool writes, gl_child **c, int *ours) {
  gl_command cmd;
  char *argv[4];
  gl_pipe *pipes[3];
  int theirs;
  int err = make_pipe(writes, ours, &theirs);
  if (err) return err;
  gl_shell_command(&cmd, argv, line);
  cmd.stdio[writes ? 0 : 1] = GL_CHILD_FD;
  cmd.fd = theirs;
  err = gl_child_start(h, &cmd, c, pipes);
  close(theirs);
  if (err) close(*ours);
  return err;
}

static int io_popen(lua_State *L) {
  const char *line = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0', 2, "invalid mode");
  gl_files *fs = gl_io_files(L);
  gl_child *c;
  int fd;
  gl_stdio *s = gl_stdio_new(L);
  gl_io_before_start(L, true, mode[0] == 'r'); /* a program that is started finds what was written before */
  int err = start(fs->host, line, mode[0] == 'w', &c, &fd);
  if (err) return gl_stdio_fail(L, err, line);
  gl_file *f = gl_file_new(fs, fd, NULL, mode, true);
  if (!f) {
    close(fd);
    gl_child_end(c, GRACE);
    gl_child_unref(c);
    return luaL_error(L, "not enough memory");
  }
  gl_stdio_open(s, f, close_popen);
  if (fs->host->task) gl_child_own(c, fs->host->task);
  s->owner = c;
  s->drop = drop_child;
  return 1;
}

void gl_install_popen(lua_State *L) {
  lua_getglobal(L, "io");
  lua_pushcfunction(L, io_popen);
  lua_setfield(L, -2, "popen");
  lua_pop(L, 1);
}
