/* SPDX-License-Identifier: MIT
 *
 * What has to happen as soon as C code, which no error may unwind in the middle of a call, is back in Lua. A one-shot hook runs when
 * the C function returns (an error raised there is as one of that function), or before the next instruction of Lua, should it call
 * Lua or raise an error of its own:
 *
 *     C code waits, the wait is cut short: t->cut_short, gl_back_arm
 *       | the call fails as such calls do; the C code returns
 *       v
 *     back_hook: the hook that was set before is put back; the task's own error is raised
 */
#ifndef GL_CORE_BACK_H
#define GL_CORE_BACK_H

#include "core/host.h"

/* Sets the hook on the running coroutine. The bits cut_short, trespasses and midway of the task say what for. */
void gl_back_arm(gl_host *h);

#endif
