/* SPDX-License-Identifier: MIT
 *
 * debug.sethook and debug.gethook, with the stock library's semantics to the letter, although the preemption needs the one hook
 * of a coroutine now and then. It must not replace a hook of the script that counts instructions, since that would begin to
 * count anew when it is put back. Instead every call of such a hook is a moment to preempt (h->user_hook_ran), and the
 * script's count is split into small steps, so that these moments come often.
 *
 * A C module's hook (a debugger, a profiler) is known to nobody but the coroutine. It is saved while ours is set there, with what it has still
 * to count, off which goes what ours counts:
 *
 *     THE MODULE'S --gl_hook_take_over, gl_back_arm--> OURS    saved in h->foreign_hook, h->back; ours passes its events on
 *       ^                                               |  ours has run: gl_hook_restore
 *       '-----------------------------------------------'  the coroutine stops running before that: gl_hook_leave
 *
 * Invariant: a hook is saved only of the coroutine that runs, or that stops running this very moment. So one place for each of our two
 * is enough, and a coroutine that is collected has none. Who still needs its hook when the coroutine goes on sets it anew: the watchdog
 * by its next signal, an error that is due by gl_kill_continue, back_hook in gl_park.
 */
#ifndef GL_CORE_HOOK_H
#define GL_CORE_HOOK_H

#include <stdbool.h>

#include <lua.h>

#include "core/host.h"

/* The hook that Lua calls in place of each hook of the script. */
void gl_hook_event(lua_State *L, lua_Debug *ar);

/* Sets the preemption's hook on L for the next instruction, over the script's or a C module's hook, whose events it gets as well: it
 * must pass them on. Safe in a signal handler. */
void gl_hook_take_over(lua_State *L);

/* As above, for `count` instructions from now, on a task that must end: the script's hook sees no events until it is put back. */
void gl_hook_insist(lua_State *L, int count);

/* Sets back_hook on the running coroutine, for the next instruction or return; it gets all events of the hook that was set before. */
void gl_hook_await_return(gl_host *h);

/* back_hook is due on L: puts back the hook that was set before. `counted`: the event was that of an instruction. Never raises. */
void gl_hook_returned(lua_State *L, bool counted);

/* The preemption's hook has come on L for an instruction: a C module's count hook, for which it stands in, has so many less to count. */
void gl_hook_counted(lua_State *L);

/* Counts one instruction for the count hook of the script that was taken over on L, and calls it if that is due. */
void gl_hook_count(lua_State *L, lua_Debug *ar);

/* Passes an event on to the hook that was taken over on L. */
void gl_hook_pass_on(lua_State *L, lua_Debug *ar);

/* Is the hook on L neither the one that ends slices nor the one that switches tasks at random? Never raises. */
bool gl_hook_is_of_others(lua_State *L);

/* Has the script or a C module set a hook on L? Never raises. */
bool gl_hook_is_set(lua_State *L);

/* Does a hook function run on L, or what it calls? Always false until hooks were switched on in such a function (core/preempt.c). */
bool gl_hook_runs(lua_State *L);

/* Puts the hook of the script or of a C module back on L after another was set there; no hook, if there was none. In a hook function in
 * which hooks were switched on it is not put back, since it must not be called in itself: the preemption's stays. Never raises. */
void gl_hook_restore(lua_State *L);

/* Replaces debug.sethook and debug.gethook. */
void gl_hook_init(lua_State *L);

#endif
