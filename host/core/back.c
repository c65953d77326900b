/* SPDX-License-Identifier: MIT */
#include "core/back.h"

#include "core/hook.h"
#include "core/scope.h"
#include "core/task.h"

/* Has the C code returned, or called Lua? Any other event is for the hook that is put back soon. */
static bool is_back(const gl_host *h, const lua_Debug *ar) {
  return ar->event == LUA_HOOKCOUNT || (ar->event == LUA_HOOKRET && (const void *)ar->i_ci == h->back_from);
}

static void back_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  gl_saved_hook saved = h->back.L == L ? h->back : (gl_saved_hook){0};
  bool back = is_back(h, ar);
  if (back) gl_hook_returned(L, ar->event == LUA_HOOKCOUNT);
  if (ar->event != LUA_HOOKCOUNT && (saved.mask & 1 << (ar->event == LUA_HOOKTAILCALL ? LUA_HOOKCALL : ar->event))) saved.hook(L, ar);
  if (!back || !t) return;
  bool cut_short = t->cut_short;
  t->cut_short = t->trespasses = t->midway = false;
  if (cut_short) gl_scope_raise(L, t, t->detached_from ? t->detached_from : "libc");
}

void gl_back_arm(gl_host *h) {
  lua_State *L = h->running;
  lua_Debug ar;
  h->back_from = lua_getstack(L, 0, &ar) ? ar.i_ci : NULL;
  h->back_hook = back_hook;
  gl_hook_await_return(h);
}
