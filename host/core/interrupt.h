/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C, as under lua: the first SIGINT raises "interrupted!" in the script, which may clean up or catch the error; a second
 * SIGINT ends the process. The script is interrupted where it waits or, when it computes, at the end of a slice. At a prompt
 * SIGINT reaches all tasks that the line has started: the first interrupts, the second cancels, and the process ends only
 * when its loop is stuck.
 *
 *     DISARMED --gl_interrupt_arm--> ARMED --on_sigint: the handler is the default again--> the next SIGINT ends the process
 *     (SIGINT ends the process)       |  ^   (a script; on_came interrupts its task)
 *        ^                            |  '-- on_sigint, while a line of a prompt runs and the loop is not stuck
 *        '---- gl_interrupt_disarm ---'
 */
#ifndef GL_CORE_INTERRUPT_H
#define GL_CORE_INTERRUPT_H

#include "core/host.h"

/* Makes the next SIGINT of the process interrupt `t`, and the one after that end the process. Called for each chunk, so that each
 * one can be interrupted. A script that waits for SIGINT by name (green.signal) gets the signal instead. */
void gl_interrupt_arm(gl_host *h, gl_task *t);

/* Makes SIGINT end the process again. No-op unless armed. */
void gl_interrupt_disarm(gl_host *h);

/* Leave SIGINT and SIGQUIT to a command that has the terminal, as system() does, from suspend to resume. Calls count over all hosts
 * of the process, from any thread. A task that waits for one of these signals by name still gets it. */
void gl_interrupt_suspend(void);
void gl_interrupt_resume(void);

/* In a forked child: SIGINT ends the process, unless it was armed for the task that forked. */
void gl_interrupt_forked(gl_host *h);

/* Closes what arming has opened; call before gl_host_close. */
void gl_interrupt_stop(gl_host *h);

#endif
