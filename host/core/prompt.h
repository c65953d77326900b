/* SPDX-License-Identifier: MIT
 *
 * The seam between a prompt that is edited on the terminal (sys/terminal.c) and everybody else who writes to the terminal:
 * the writer calls gl_prompt_hide before, and the prompt erases itself until the end of the turn.
 */
#ifndef GL_CORE_PROMPT_H
#define GL_CORE_PROMPT_H

#include "core/host.h"

typedef struct gl_prompt {
  void (*hide)(struct gl_prompt *p, bool ends_line); /* erases the prompt; draws it again at the end of the turn */
} gl_prompt;

/* Call before writing to the terminal. `ends_line`: the text ends with a newline. */
static inline void gl_prompt_hide(const gl_host *h, bool ends_line) {
  if (h->prompt) h->prompt->hide(h->prompt, ends_line);
}

#endif
