/* SPDX-License-Identifier: MIT
 *
 * RESP, the protocol of Redis: where a reply ends. Versions 2 and 3, as a client hears them (https://redis.io/docs/reference/protocol-spec/);
 * the streamed aggregates of version 3, which no server sends, are refused. No Lua, no loop, no memory of its own: the bytes of a reply
 * that is not whole are kept by the caller.
 *
 *     a value            +text  -error  :integer  ,double  (big number  #boolean  _    one line
 *                        $bulk  !error  =verbatim                                      a line with a length, so many bytes, CR LF
 *     an aggregate       *array ~set >push   %map   |attributes                        a line with a count, then so many values (of a map
 *                                                                                      twice as many; of attributes also what they describe)
 */
#ifndef GL_DB_REDIS_RESP_H
#define GL_DB_REDIS_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GL_RESP_DEPTH 64          /* aggregates within each other, at most */
#define GL_RESP_LINE ((size_t)64 << 10) /* bytes of a line, at most */

/* How far a reply was looked at. Zeroed memory: not at all. */
typedef struct gl_resp {
  size_t at;                     /* bytes that were looked at: whole values, and heads of aggregates */
  size_t seen;                   /* bytes behind `at` that hold no end of a line */
  unsigned depth;                /* aggregates that are open */
  uint64_t left[GL_RESP_DEPTH];  /* values that each of them still needs */
} gl_resp;

/* Looks on at a reply, of which the first `n` bytes are at `bytes`: more of them than last time. Returns its length once it is
 * whole, 0 while it is not, -1 when it is no RESP, or deeper or longer than the limits above. The time is that of what is new. */
int64_t gl_resp_scan(gl_resp *r, const char *bytes, size_t n);

/* One line of a whole reply: its type, and the number in it. */
typedef struct gl_resp_head {
  char type;
  const char *text;    /* what is between the type and CR LF */
  size_t len;          /* of the text */
  int64_t number;      /* of the types that have one; -1: null */
} gl_resp_head;

/* Reads the head at `*at` of a whole reply of `n` bytes, and moves `*at` behind its line. */
gl_resp_head gl_resp_read(const char *bytes, size_t n, size_t *at);

/* Returns the bytes of a bulk, whose head has been read, and moves `*at` behind them. */
const char *gl_resp_bulk(const char *bytes, size_t *at, const gl_resp_head *head);

#endif
