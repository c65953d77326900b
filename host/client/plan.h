/* SPDX-License-Identifier: MIT
 *
 * A request that was read and checked once, and can be sent any number of times: a userdata with a round trip that is never started, the
 * model of those that are.
 */
#ifndef GL_CLIENT_PLAN_H
#define GL_CLIENT_PLAN_H

#include "transport/roundtrip.h"

/* Makes the metatable of plans. May raise. */
void gl_plan_setup(lua_State *L);

/* plan(spec) -> plan. Raises as native.send does before it sends. The request has no body, which would have to be kept as well. */
int gl_plan_lua(lua_State *L);

/* Claims (gl_pool_claim) a new round trip for the plan at index 1, and returns the pool. Raises on any other value, without memory, and once the
 * state closes. */
gl_pool *gl_plan_begin(lua_State *L);

#endif
