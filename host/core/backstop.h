/* SPDX-License-Identifier: MIT
 *
 * The backstop: a process that serves and was told to stop (SIGTERM, SIGINT) ends in the end, whatever its scripts do.
 *
 *     OFF --gl_backstop_arm--> ARMED --on_stop: the signal came--> RUNNING OUT --`seconds` later: gl_backstop_look--> EXPIRED
 *                                       (a handler; libuv's own,                 (the watchdog's thread)                 |
 *                                        which it calls, tells the loop)                                                 |
 *          gl_backstop_last_words, in the signal handler of the loop's thread: reports where that stands, and exits <----+
 *                            gl_backstop_look, should the loop's thread take no signal for another second: exits <-------'
 *
 * A second signal shortens the wait to one second. libuv sets its handler anew each time that a first waiter comes: gl_backstop_watch.
 * The process has one backstop, that of the host that was armed last.
 */
#ifndef GL_CORE_BACKSTOP_H
#define GL_CORE_BACKSTOP_H

#include <stdbool.h>

#include "core/host.h"

/* From now on SIGTERM and SIGINT, for which the loop must wait already, end the process `seconds` later if nothing else does. */
void gl_backstop_arm(gl_host *h, double seconds);

/* libuv has set its handler for a signal: the backstop, if armed, sees SIGINT and SIGTERM before it. */
void gl_backstop_watch(int signo);

/* Never expires any more. */
void gl_backstop_disarm(gl_host *h);

/* Has the signal come, so that the watchdog must stay awake? Ends the process when it is time. For the watchdog's thread.
 * True in *expired: the loop's thread is to be signalled, and says its last words. */
bool gl_backstop_look(const gl_host *h, bool *expired);

/* Reports where `h` stands and exits, if the time is over. For the loop's thread, in its signal handler. */
void gl_backstop_last_words(gl_host *h);

#endif
