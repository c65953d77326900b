/* SPDX-License-Identifier: MIT
 *
 * Whoever mistypes a name is told the one that was probably meant.
 */
#ifndef GL_NEAR_H
#define GL_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* May `word` be a mistyped `name`? Then *mistakes is how many it takes: a letter too many, missing, wrong, or two
 * that changed places. Case counts. */
bool gl_near(const char *word, const char *name, size_t *mistakes);

#endif
