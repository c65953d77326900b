/* SPDX-License-Identifier: MIT
 *
 * What libuv knows of a loop and does not tell: uv_loop_alive counts closing handles and our alarm as well, and no function
 * tells whether requests are under way. The members are those of uv_loop_t in uv.h and uv/unix.h; checked with libuv 1.44.2.
 */
#ifndef GL_CORE_LOOP_H
#define GL_CORE_LOOP_H

#include <stdbool.h>
#include <uv.h>

/* Is a request under way: a write, a connection attempt, a job on the thread pool? */
static inline bool gl_loop_has_requests(const uv_loop_t *loop) { return loop->active_reqs.count > 0; }

/* Can nothing happen on the loop any more, apart from `expected` active handles? */
static inline bool gl_loop_is_idle(const uv_loop_t *loop, unsigned int expected) {
  return loop->active_handles == expected && !gl_loop_has_requests(loop) && !loop->closing_handles;
}

#endif
