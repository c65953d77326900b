/* SPDX-License-Identifier: MIT
 *
 * The counts of a pool for scripts.
 */
#ifndef GL_CLIENT_STATS_H
#define GL_CLIENT_STATS_H

#include <lua.h>

/* stats() -> a table of counts: connections and line now, of all and by host, and requests so far. */
int gl_stats_lua(lua_State *L);

#endif
