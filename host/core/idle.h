/* SPDX-License-Identifier: MIT
 *
 * What is put in order when there is nothing else to do: after a second of rest, if much was allocated since the last time,
 * garbage is collected and the memory that lies idle goes back to the system, a slice at a time, as long as nobody comes.
 */
#ifndef GL_CORE_IDLE_H
#define GL_CORE_IDLE_H

#include "core/host.h"

/* The loop is about to wait. */
void gl_idle_begin(gl_host *h);

#endif
