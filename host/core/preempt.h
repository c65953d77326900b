/* SPDX-License-Identifier: MIT
 *
 * No script stalls the others. A watchdog thread looks now and then whether the loop's thread is still in the same step of
 * the same task; if so, the watchdog signals that thread, whose handler sets a one-shot hook on the running coroutine
 * (lua_sethook may be called from a signal handler: ldebug.c says so). The hook puts the task behind all other ready tasks: by
 * yielding, or by parking where Lua cannot yield. A C function cannot be stopped so; one that takes too long is reported with
 * the Lua stack that called it (core/stall.h). A thread that sleeps in a system call gets no signal, except in a call that the
 * kernel restarts by itself: foreign code may not expect EINTR.
 *
 * The same hook ends a task that must end (gl_scope_must_end: cancelled, past its deadline, over its CPU limit) and does not:
 *
 *     FREE --an await raises, or raise_end--> END REQUESTED    has CLEANUP_SLICES for its <close> variables (gl_scope_request_end)
 *      ^                                          |  end_slice: none of those slices is left
 *      |  gl_scope_retract_end:                   v
 *      |  nothing asks it to end              KILLED ON ALTERNATE SLICES    kill_count odd: an error was raised; even: a slice to go on
 *      |  any more                                |  kill_count > MAX_CAUGHT: the task has caught all of them
 *      |                                          v
 *      +------------------------------------- KILLED AT RANDOM    the hook raises after a random number of instructions (next_kill)
 *      |                                          |  MAX_KILLS more
 *      |                                          v
 *      '------------------------------------- KILLED AT EVERY INSTRUCTION    which no nest of loops around pcall survives
 *
 * An error that is due is not raised between any two instructions, but where nothing is lost by it (core/safepoint.h): where a
 * loop repeats, or after so many instructions without a loop that the task cannot be on its way to keep something.
 *
 * A loop in a message handler (xpcall) that was called for an error raised here is out of reach, since Lua runs handlers of
 * errors in hooks with hooks off. A handler that returns, as debug.traceback does, is fine.
 *
 * While every task keeps within its slice, a step costs one increment; while the loop is idle, the watchdog sleeps
 * (core/pulse.h).
 */
#ifndef GL_CORE_PREEMPT_H
#define GL_CORE_PREEMPT_H

#include <stdbool.h>

#include "core/host.h"

#define GL_STALL_MS 100  /* a C function that holds the loop longer is reported */
#define GL_ATOMIC_MS 100 /* CPU time after which an atomic section (core/scope.h) is reported, and preempted like anything else */

/* Starts to watch the calling thread as the host's. False: no thread is to be had, and nothing will be preempted. */
bool gl_preempt_start(gl_host *h);

/* In a forked child: starts a watchdog in place of the parent's, if that had one. */
void gl_preempt_restart(gl_host *h);

/* Ends the watchdog. */
void gl_preempt_stop(gl_host *h);

/* For loops in C: ends the slice if it is used up; otherwise this costs a comparison. Call every few thousand bytes or steps, on
 * the running coroutine. True: other tasks may have run, and whatever Lua can change may have changed (tables that are
 * walked through, peers, scopes), except what is on this coroutine's stack. May raise, as any hook. */
bool gl_preempt_check(lua_State *L);

/* Goes on with ending the running task in L, when a coroutine that L had resumed failed because the task must end. */
void gl_preempt_follow(lua_State *L);

/* For tests: cancels the running task after n instructions of L (0 = never), as if it had used up its slice there. */
void gl_preempt_end_at(lua_State *L, int n);

/* Switches the reports of C functions that stall the loop, on stderr; they are on by default. */
void gl_preempt_set_reports(gl_host *h, bool on);

/* How many slices were used up so far, by all tasks. */
uint64_t gl_preempt_count(const gl_host *h);

#endif
