/* SPDX-License-Identifier: MIT
 *
 * No script stalls the others. A watchdog thread looks now and then whether the loop's thread is still in the same
 * step of the same task; if it is, it signals that thread, whose handler sets a one-shot hook on the coroutine that
 * runs (lua_sethook may be called from a signal handler: ldebug.c says so). The hook puts the task at the end of the
 * queue: by yielding, or by parking where Lua cannot yield. A C function cannot be stopped so; one that takes too
 * long is reported with the Lua stack that called it (core/stall.h). No signal is sent at a thread that sleeps in a system
 * call, but in one that the kernel begins anew by itself: foreign code may not expect EINTR.
 *
 * A task whose time is over is not raised at between any two instructions, but where nothing is lost by it
 * (core/safepoint.h): where a loop repeats, or after so long without one that it cannot be on its way to keep something.
 *
 * One loop is out of reach: that of a message handler (xpcall) called for an error raised here, since Lua runs handlers of
 * errors in hooks with hooks off. One that returns, as debug.traceback, is fine.
 *
 * While nobody hogs, a step costs one increment; while the loop is idle, the watchdog sleeps (core/pulse.h).
 */
#ifndef GL_CORE_PREEMPT_H
#define GL_CORE_PREEMPT_H

#include <stdbool.h>

#include "core/host.h"

#define GL_STALL_MS 100 /* a C function that holds it longer is reported */
#define GL_ATOMIC_MS 100 /* CPU time after which an atomic section (core/scope.h) is reported, and preempted like anything else */

/* Starts to watch the calling thread as the host's. False: no thread is to be had; nothing is preempted then. */
bool gl_preempt_start(gl_host *h);

/* In a forked child: starts a watchdog in place of the parent's, if that had one. */
void gl_preempt_restart(gl_host *h);

/* Ends the watchdog. */
void gl_preempt_stop(gl_host *h);

/* For loops in C: make way, if the slice is used up; else it costs a comparison. Call it every few thousand bytes or steps,
 * on the coroutine that runs. True: others may have run, and whatever can be changed by Lua may have changed (tables that
 * are walked through, peers, scopes), but for what is on this coroutine's stack. May raise, like any hook. */
bool gl_preempt_check(lua_State *L);

/* A coroutine that L resumed failed: when that was to make an end, L is next. */
void gl_preempt_follow(lua_State *L);

/* For tests: cancels the running task after n instructions of L (0: not), as if it had used up its slice there. */
void gl_preempt_end_at(lua_State *L, int n);

/* Report C functions that stall the loop on stderr, or not. On by default. */
void gl_preempt_set_reports(gl_host *h, bool on);

/* How many times a task was made to make way. */
uint64_t gl_preempt_count(const gl_host *h);

#endif
