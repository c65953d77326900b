/* SPDX-License-Identifier: MIT
 *
 * Lua's patterns (manual 6.4.1), matched in steps, so that other tasks run between them: a match that never ends holds up nobody,
 * and ends with its task. Results, limits and error texts are those of the stock library, whose matcher recurses; this one keeps
 * its choices in an array:
 *
 *     subject  a a a b          pattern  (a-)%1*b
 *
 *     choice [2]  REPEATED  the run of %w, [set], ... : on failure one character less
 *            [1]  CLOSED    on failure the capture is open again
 *            [0]  OPENED    on failure the capture is gone
 *
 *     take an item of the pattern --fits--> push what else could be tried, take the next item --no more items--> matched
 *           ^      |
 *           |   does not fit
 *           |      v
 *           '-- back up: the topmost choice that has something left; the captures that were made since are undone
 *                  |  none
 *                  v
 *               no match here
 *
 * Invariants:
 * 1. There are at most GL_MATCH_DEPTH - 1 choices: the stock matcher calls itself once for each, and allows so many calls.
 * 2. Nothing is held over gl_preempt_check but pointers into subject and pattern, which lie on L's stack meanwhile.
 * 3. The choices lie in the struct until there are GL_MATCH_ROOM of them, then in a userdata on L's stack: at the index `reserve`,
 *    or on top.
 */
#ifndef GL_STDLIB_MATCH_H
#define GL_STDLIB_MATCH_H

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>

#define GL_MATCH_CAPTURES 32 /* LUA_MAXCAPTURES of the stock library */
#define GL_MATCH_DEPTH 200   /* MAXCCALLS of the stock library */
#define GL_MATCH_ROOM 24     /* C stacks are small, and callbacks of gsub may call gsub */
#define GL_CAPTURE_OPEN (-1)
#define GL_CAPTURE_POSITION (-2)

typedef struct gl_capture {
  const char *start;
  ptrdiff_t length; /* or GL_CAPTURE_OPEN, GL_CAPTURE_POSITION */
} gl_capture;

typedef struct gl_choice {
  enum { GL_OPENED, GL_CLOSED, GL_OPTIONAL, GL_REPEATED, GL_LAZY } kind;
  int capture;      /* CLOSED: which one */
  const char *at;   /* OPTIONAL, REPEATED, LAZY: where in the subject the item began, or has got to */
  const char *item; /* REPEATED: the subject at the shortest run; LAZY: the item in the pattern */
  const char *end;  /* OPTIONAL, REPEATED, LAZY: the suffix after the item */
} gl_choice;

typedef struct gl_match {
  lua_State *L;
  const char *subject, *subject_end, *pattern_end;
  int steps;    /* left until gl_preempt_check is called */
  int reserve;  /* stack index of a nil that the choices may replace; 0: they may be pushed */
  int level;    /* captures so far */
  int depth;    /* choices so far */
  int room;     /* choices that fit in `choice` */
  bool looked;  /* item and item_end are known: */
  const char *item, *item_end; /* what every match begins with, or NULL */
  gl_choice *choice;
  gl_capture capture[GL_MATCH_CAPTURES];
  gl_choice first[GL_MATCH_ROOM];
} gl_match;

/* Prepares matches of a pattern in a subject. Both strings must stay where L's frame keeps them alive. */
void gl_match_init(gl_match *m, lua_State *L, const char *subject, size_t length, const char *pattern_end, int reserve);

/* Matches the pattern at p, at `s` in the subject exactly. Returns the end of the match, or NULL. May make way for other tasks;
 * raises what is wrong with the pattern, and what gl_preempt_check raises. */
const char *gl_match_at(gl_match *m, const char *s, const char *p);

/* Finds the first match at or after `*s`, and sets `*s` to its start. `p` is the same in each call. Otherwise as gl_match_at. */
const char *gl_match_find(gl_match *m, const char **s, const char *p);

/* Pushes capture i (from 0) of the match from s to e, or the whole match when there are no captures and i is 0. */
void gl_match_push(gl_match *m, int i, const char *s, const char *e);

/* The bytes that gl_match_push would push; a position is pushed instead, and the result is GL_CAPTURE_POSITION. */
ptrdiff_t gl_match_get(gl_match *m, int i, const char *s, const char *e, const char **start);

/* Pushes all captures, or the whole match when there are none and `s` is not NULL. Returns their number. */
int gl_match_push_all(gl_match *m, const char *s, const char *e);

/* Lets other tasks run if the slice is used up. */
void gl_match_make_way(gl_match *m);

/* Counts n more steps, after which the slice may end. */
static inline void gl_match_spend(gl_match *m, size_t n) {
  if (n >= (size_t)m->steps) gl_match_make_way(m);
  else m->steps -= (int)n;
}

#endif
