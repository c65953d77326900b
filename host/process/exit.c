/* SPDX-License-Identifier: MIT
 *
 * os.exit with the stock meaning, though scripts call it in a coroutine that plays the main thread, and a loop and a thread pool
 * are behind it.
 */
#include "process/exit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/alone.h"
#include "core/fork.h"
#include "core/host.h"
#include "core/loop.h"
#include "core/preempt.h"
#include "core/shake.h"
#include "core/task.h"
#include "io/module.h"
#include "process/child.h"

/* lua_close closes the pending variables of the main thread; here those are on the base of the task. The frames of the caller are
 * gone after that, as after stock os.exit: nothing returns to them. */
static void close_state(gl_host *h) {
  if (h->task && h->task->co) lua_resetthread(h->task->co);
  if (h->forked) return; /* the rest is the parent's, too */
  gl_alone_close(h);
}

/* libuv's destructor joins the pool, so exit() would wait for a lookup or a file that hangs. */
static _Noreturn void leave(gl_host *h, int code) {
  if (h->forked) gl_fork_leave(h, code);
  if (code != EXIT_SUCCESS) gl_shake_tell(h);
  gl_preempt_set_reports(h, false); /* no task is left that a stall would hold up */
  if (!gl_loop_has_requests(&h->loop)) exit(code);
  fflush(NULL);
  _exit(code);
}

static int os_exit(lua_State *L) {
  gl_host *h = gl_host_of(L);
  int code = EXIT_SUCCESS;
  if (lua_isboolean(L, 1)) code = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else code = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  if (lua_toboolean(L, 2)) close_state(h);
  else gl_io_flush_sync(L);
  leave(h, code);
}

void gl_install_exit(lua_State *L) {
  lua_getglobal(L, "os");
  lua_pushcfunction(L, os_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}
