/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C, as lua has it: the first SIGINT is an error, "interrupted!", in the script, which may clean up or catch
 * it; a second one ends the process. The script is interrupted where it waits or, when it hogs, at the end of
 * a slice. At a prompt it is for all that the line has started, asked again a cancel, and ends the process only when its
 * loop is stuck.
 */
#ifndef GL_CORE_INTERRUPT_H
#define GL_CORE_INTERRUPT_H

#include "core/host.h"

/* From now on the next SIGINT of the process is for `t`, and one after that ends the process. Once per chunk, so that
 * each has its first one. Whoever waits for SIGINT by name (green.signal) gets it instead. */
void gl_interrupt_arm(gl_host *h, gl_task *t);

/* SIGINT ends the process again. No-op unless armed. */
void gl_interrupt_disarm(gl_host *h);

/* A command has the terminal, as with system(): until gl_interrupt_resume, SIGINT and SIGQUIT are for the command alone. Counts over
 * all hosts of the process, from any thread. A task that waits for one of the two by name still gets it. */
void gl_interrupt_suspend(void);
void gl_interrupt_resume(void);

/* In a forked child: SIGINT is for the task that forked, if it was before; else it ends the process. */
void gl_interrupt_forked(gl_host *h);

/* Before the host closes. */
void gl_interrupt_stop(gl_host *h);

#endif
