/* SPDX-License-Identifier: MIT
 *
 * Fields of the table that says what is asked for; it is at index 1. Strings stay its own. All of it may raise.
 */
#ifndef GL_TRANSPORT_SPEC_H
#define GL_TRANSPORT_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include <lauxlib.h>

#define GL_SPEC_OP 32 /* bytes of the name of an operation */

/* "http.get" */
void gl_spec_op(const char *method, char out[GL_SPEC_OP]);

/* Raises EINVAL in the name of the operation. Never returns. */
void gl_spec_refuse(lua_State *L, const char *format, const char *what);

/* A string of the table at idx, NULL when it is absent; without `len` it has no NUL. */
const char *gl_spec_text(lua_State *L, int idx, const char *name, size_t *len);
const char *gl_spec_need(lua_State *L, int idx, const char *name);

bool gl_spec_flag(lua_State *L, int idx, const char *name, bool otherwise);
double gl_spec_number(lua_State *L, int idx, const char *name, double otherwise);

/* What a field value may not hold is refused. */
void gl_spec_check_value(lua_State *L, const char *name, const char *value, size_t n);

#endif
