/* SPDX-License-Identifier: MIT
 *
 * GL_CHECK, since what cannot happen is asserted, not handled; and GL_CONTAINER, the step from a member back to its struct.
 */
#ifndef GL_CORE_CHECK_H
#define GL_CORE_CHECK_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* Aborts in every build when the condition is false, naming it. */
#define GL_CHECK(cond) \
  ((cond) ? (void)0 : (fprintf(stderr, "greenlua: %s:%d: broken: %s\n", __FILE__, __LINE__, #cond), abort()))

#define GL_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
