/* SPDX-License-Identifier: MIT
 *
 * Work for an idle host: after a second without much work, if much was allocated since the last time, garbage is collected and
 * free memory goes back to the system, a slice at a time, as long as no task runs.
 *
 *     gl_idle_begin (much is due) --1 s--> on_idle: was it calm? --yes--> collect_some ... trim_some ... --> malloc_trim: done
 *                                              '--- no, or a task ran between two slices ---> given up until the loop waits again
 */
#ifndef GL_CORE_IDLE_H
#define GL_CORE_IDLE_H

#include "core/host.h"

/* Arms the timer of the idle work, if there is enough to do. Called when the loop is about to wait. */
void gl_idle_begin(gl_host *h);

#endif
