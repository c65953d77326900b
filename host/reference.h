/* SPDX-License-Identifier: MIT
 *
 * green.reference.native: what the reference needs from C.
 *   stubs()           the embedded lualib/meta: module name -> text
 *   modules()         the list of the modules that scripts may require
 *   near(word, name)  how many mistakes made `word` of `name`; nil when they are too many
 *   hint(word, names) how a refusal of `word` goes on when one of `names` was expected
 *   columns()         width of the terminal that stdout is; nil when it is none
 */
#ifndef GL_REFERENCE_H
#define GL_REFERENCE_H

#include <lua.h>

int luaopen_green_reference(lua_State *L);

#endif
