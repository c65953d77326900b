/* SPDX-License-Identifier: MIT
 *
 * table.sort. Equal elements end up where the stock function leaves them, and the comparator is asked the same questions in the same
 * order, since scripts may have come to depend on both: it is the same quicksort (the median of three as the pivot, the smaller part
 * by recursion). The comparator may wait, and other tasks may change the table meanwhile: each element is fetched anew.
 */
#ifndef GL_STDLIB_SORT_H
#define GL_STDLIB_SORT_H

#include <lua.h>

int gl_table_sort(lua_State *L);

#endif
