/* SPDX-License-Identifier: MIT
 *
 * A prompt that somebody edits on the terminal, and what others print meanwhile: whoever writes to the terminal says so
 * before, and the prompt gets out of the way until the end of the turn. Printing is all over the host, and the prompt in
 * one place (sys/terminal.c), so this is what they know of each other.
 */
#ifndef GL_CORE_SCREEN_H
#define GL_CORE_SCREEN_H

#include "core/host.h"

typedef struct gl_screen {
  void (*leave)(struct gl_screen *s, bool ends_line);
} gl_screen;

/* Something is about to be written to the terminal; does it end with a newline? */
static inline void gl_screen_leave(const gl_host *h, bool ends_line) {
  if (h->screen) h->screen->leave(h->screen, ends_line);
}

#endif
