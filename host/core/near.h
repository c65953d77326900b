/* SPDX-License-Identifier: MIT
 *
 * Whoever mistypes a name is told the one that was probably meant.
 */
#ifndef GL_CORE_NEAR_H
#define GL_CORE_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* May `word` be a mistyped `name`? Then *mistakes is how many it takes: a letter too many, missing, wrong, or two
 * that changed places. Case counts. */
bool gl_near(const char *word, const char *name, size_t *mistakes);

/* The one of `names` (NULL at the end) that was probably meant, or NULL. */
const char *gl_near_of(const char *word, const char *const names[]);

#endif
