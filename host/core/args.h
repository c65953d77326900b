/* SPDX-License-Identifier: MIT
 *
 * Readers of tables of options: a name that is unknown and a value of the wrong type are refused by the option's name, as an error in
 * argument `idx`. Lua's half of the rule is green.options.
 */
#ifndef GL_CORE_ARGS_H
#define GL_CORE_ARGS_H

#include <lua.h>

/* Checks that the argument is absent, or a table with no fields but these. Raises otherwise. */
void gl_args_check_names(lua_State *L, int idx, const char *const names[]);

/* Each of these returns a field of the options at idx, or `def` when the field or the options are absent. Raises when the field has
 * another type, or is out of range. */
double gl_args_timeout(lua_State *L, int idx, double def);
int gl_args_family(lua_State *L, int idx);                       /* 4 or 6 -> AF_INET, AF_INET6; else AF_UNSPEC */
int gl_args_bool(lua_State *L, int idx, const char *name, int def);
lua_Integer gl_args_integer(lua_State *L, int idx, const char *name, lua_Integer def, lua_Integer min, lua_Integer max);

/* Raises that `why` is wrong with the options at idx: as an error in that argument; beyond the last argument, in option `tls`, whose value
 * they are. */
int gl_args_refuse(lua_State *L, int idx, const char *why);

/* The value at `idx` as permission bits: an integer, or octal digits; -1: neither. */
lua_Integer gl_args_permissions(lua_State *L, int idx);

/* The field `mode`: permission bits from `min` to `max`; -1: absent. */
lua_Integer gl_args_mode(lua_State *L, int idx, lua_Integer min, lua_Integer max);

/* The place in `words` (NULL at the end) of the field's; 0 if it is absent. */
int gl_args_word(lua_State *L, int idx, const char *name, const char *const words[]);

/* Returns a field that is a string without NUL, and leaves it on the stack; NULL: absent, and nil is left in its place. */
const char *gl_args_string(lua_State *L, int idx, const char *name);

/* Reads the arguments that say where to connect or listen: (address [, options]), or one table with the options and one of
 * `address`, `host` and `port`, `path`. Leaves the address at index 1 and the options or nil at index 2, and returns the
 * address. In a table `host` may be a list if `list`: the address is then that of the first. Raises on anything else. */
const char *gl_args_target(lua_State *L, const char *const names[], int list, size_t *len);

#endif
