/* SPDX-License-Identifier: MIT
 *
 * Which name was probably meant by a mistyped one, for error messages.
 */
#ifndef GL_CORE_NEAR_H
#define GL_CORE_NEAR_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

/* May `word` be a mistyped `name`? *mistakes is then the number of edits: a letter too many, missing or wrong, or two letters that
 * changed places. Case counts. */
bool gl_near(const char *word, const char *name, size_t *mistakes);

/* Pushes how a refusal of `word` (NULL: no string) goes on, and returns it: "; did you mean 'timeout'?" when one of `names` (NULL
 * at the end) is near, else what there is: "; there are mode, sync". May raise for want of memory. */
const char *gl_near_push_hint(lua_State *L, const char *word, const char *const names[]);

#endif
