/* SPDX-License-Identifier: MIT
 *
 * Fields of the table, at index 1, that says what a script asks for. The table keeps the strings that are returned. Every function
 * but gl_spec_op may raise: EINVAL in the name of the operation for what a script can get wrong, a string for a wrong type.
 */
#ifndef GL_CLIENT_SPEC_H
#define GL_CLIENT_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include <lauxlib.h>

#define GL_SPEC_OP 32 /* bytes of the name of an operation */

/* Writes the name of the operation of a method, as errors have it: "http.get", or "http.request" for a method without one. */
void gl_spec_op(const char *method, char out[GL_SPEC_OP]);

/* Raises an error of the phase "request", in the name of the operation of the table at index 1; `what` is the argument of the format's one %s. Never
 * returns. */
void gl_spec_raise(lua_State *L, const char *code, const char *format, const char *what);

/* Raises EINVAL in the name of the operation; `what` is the argument of the format's one %s. Never returns. */
void gl_spec_refuse(lua_State *L, const char *format, const char *what);

/* Returns a string of the table at idx; NULL: the field is absent. Without `len`, a string with a NUL is refused. */
const char *gl_spec_text(lua_State *L, int idx, const char *name, size_t *len);

/* Returns a string of the table at idx, which must be there, and has no NUL. */
const char *gl_spec_need(lua_State *L, int idx, const char *name);

/* Return a flag, or a number >= 0 (GL_FOREVER at most), of the table at idx; `otherwise` if the field is absent. */
bool gl_spec_flag(lua_State *L, int idx, const char *name, bool otherwise);
double gl_spec_number(lua_State *L, int idx, const char *name, double otherwise);

/* Returns the value at idx, which is called `name`: a number >= 0, GL_FOREVER at most. */
double gl_spec_number_at(lua_State *L, int idx, const char *name);

/* Refuses a value of a header field that holds a control character, by the name of the field. */
void gl_spec_check_value(lua_State *L, const char *name, const char *value, size_t n);

#endif
