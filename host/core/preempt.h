/* SPDX-License-Identifier: MIT
 *
 * No script stalls the others: a task that computes makes way at the end of its slice.
 *
 *     RUNS --on_signal: its step has used up a slice--> HOOKED    set_preempt_hook, on the running coroutine
 *      ^                 |                                |
 *      |                 | it is in an atomic section     |  the next instruction: preempt_hook, end_slice
 *      |                 v                                v
 *      |              DEFERRED --the section is left-->  READY, behind all others: preempt_yield
 *      |                                                  |        yields, or parks where Lua cannot yield (core/park.h)
 *      '------------------- its turn has come ------------'
 *
 * The watchdog sends the signal (core/watchdog.h); lua_sethook may be called in its handler: ldebug.c says so. A C function
 * cannot be stopped so: our own that take long ask by themselves (gl_preempt_check), and others are reported with the Lua stack that
 * called them (core/stall.h). Where the script has a count hook, each call of that is a moment to end the slice (core/hook.h).
 * The same hook ends a task that must end and does not (core/kill.h).
 *
 * Where Lua has hooks off (a hook function of the script's, a finalizer), the signal handler switches them on (core/allowhook.h). In a
 * hook function preempt_hook then does all the above, but does not call the script's hook in itself; where no task can make way, as in
 * finalizers, it only ends what takes too long (core/alone.h).
 *
 * While every task keeps within its slice, a step costs one increment; while the loop is idle, the watchdog sleeps
 * (core/pulse.h).
 */
#ifndef GL_CORE_PREEMPT_H
#define GL_CORE_PREEMPT_H

#include <stdbool.h>

#include "core/host.h"

#define GL_ATOMIC_MS 100 /* CPU time after which an atomic section (core/scope.h) is reported, and preempted like anything else */

/* Starts to watch the calling thread as the host's. False: no thread is to be had, and nothing will be preempted. */
bool gl_preempt_start(gl_host *h);

/* In a forked child: starts a watchdog in place of the parent's, if that had one. */
void gl_preempt_restart(gl_host *h);

/* Ends the watchdog. For gl_host_close: what is closed there has no end otherwise. */
void gl_preempt_stop(gl_host *h);

/* A slice of long work begins: it will be ended after 10 ms, and before that when others have something to do. For the driver. */
void gl_preempt_begin_slice(gl_host *h);

/* The slice is over. For the driver. */
void gl_preempt_end_slice(gl_host *h);

/* For loops in C: ends the slice if it is used up; otherwise this costs a comparison. Call every few thousand bytes or steps, on
 * the running coroutine. True: other tasks may have run, and whatever Lua can change may have changed (tables that are
 * walked through, peers, scopes), except what is on this coroutine's stack. May raise, as any hook. */
bool gl_preempt_check(lua_State *L);

/* Is the slice of the step that runs used up, so that the task makes way before its next instruction of Lua? For C code that is not back in
 * Lua for long. */
bool gl_preempt_is_due(const gl_host *h);

/* For tests: cancels the running task after n instructions of L (0 = never), as if it had used up its slice there. */
void gl_preempt_end_at(lua_State *L, int n);

/* Switches the reports of C functions that stall the loop, on stderr; they are on by default. */
void gl_preempt_set_reports(gl_host *h, bool on);

/* How many slices were used up so far, by all tasks. */
uint64_t gl_preempt_count(const gl_host *h);

#endif
