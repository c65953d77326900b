/* SPDX-License-Identifier: MIT
 *
 * One step of a task: from the moment the driver resumes it until it waits, is preempted or ends.
 */
#ifndef GL_CORE_STEP_H
#define GL_CORE_STEP_H

#include "core/host.h"

/* Runs a READY task until it waits or ends. When it ends, this calls on_end, wakes whoever joins it, and drops the host's
 * reference. For the driver only. The task may park: other tasks then run before this returns. */
void gl_task_step(gl_host *h, gl_task *t);

#endif
