/* SPDX-License-Identifier: MIT */
#include "stdlib/match.h"

#include <string.h>

#include "stdlib/charset.h"
#include "stdlib/steps.h"

#define PIECE 4096       /* characters that are gone over without counting steps */
#define BYTES_OF_STEP 64 /* memchr and memcmp do so many in the time of a step */

void gl_match_init(gl_match *m, lua_State *L, const char *subject, size_t length, const char *pattern_end, int reserve) {
  m->L = L;
  m->subject = subject;
  m->subject_end = subject + length;
  m->pattern_end = pattern_end;
  m->steps = GL_STEPS;
  m->reserve = reserve;
  m->level = m->depth = 0;
  m->room = GL_MATCH_ROOM;
  m->looked = false;
  m->choice = m->first;
}

void gl_match_make_way(gl_match *m) {
  m->steps = GL_STEPS;
  gl_preempt_check(m->L);
}

static inline void step(gl_match *m) {
  if (--m->steps <= 0) gl_match_make_way(m);
}

/* ---- choices ---- */

static void grow_choices(gl_match *m) {
  if (m->depth >= GL_MATCH_DEPTH - 1) luaL_error(m->L, "pattern too complex");
  if (m->room > GL_MATCH_ROOM) return;
  gl_choice *all = lua_newuserdatauv(m->L, GL_MATCH_DEPTH * sizeof *all, 0);
  if (m->reserve) lua_replace(m->L, m->reserve);
  memcpy(all, m->first, sizeof m->first);
  m->choice = all;
  m->room = GL_MATCH_DEPTH - 1;
}

static inline void push_choice(gl_match *m, int kind, const char *at, const char *item, const char *end) {
  if (m->depth == m->room) grow_choices(m);
  gl_choice *c = &m->choice[m->depth++];
  c->kind = kind;
  c->at = at;
  c->item = item;
  c->end = end;
}

/* ---- single items ---- */

/* The end of the item that begins at p, which is not the end of the pattern. */
static inline const char *item_end(gl_match *m, const char *p) {
  if (*p != '%' && *p != '[') return p + 1;
  if (*p == '%') {
    if (p + 1 == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 2;
  }
  const char *set = p++;
  if (*p == '^') p++;
  do { /* a ']' that comes first is a character */
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%' && p < m->pattern_end) p++;
  } while (*p != ']');
  if (p - set > BYTES_OF_STEP) gl_match_spend(m, (size_t)(p - set) / 8);
  return p + 1;
}

static inline bool fits(const gl_match *m, const char *s, const char *p, const char *end) {
  return s < m->subject_end && gl_item_has((unsigned char)*s, p, end);
}

/* The end of the longest run of the item from s to `limit`. */
static const char *run_end(const char *s, const char *limit, const char *p, const char *end) {
  switch (*p) {
    case '.': return limit;
    case '%':
      while (s < limit && gl_class_has((unsigned char)p[1], (unsigned char)*s)) s++;
      return s;
    case '[':
      while (s < limit && gl_set_has((unsigned char)*s, p, end - 1)) s++;
      return s;
    default:
      while (s < limit && *s == *p) s++;
      return s;
  }
}

/* How many characters are gone over between two looks: fewer for a long set. */
static size_t piece_for(const char *p, const char *end) {
  size_t width = (size_t)(end - p);
  return width < 16 ? PIECE : PIECE * 16 / width + 1;
}

/* The end of the longest run of the item from s on, gone over in pieces. */
static const char *longest_run(gl_match *m, const char *s, const char *p, const char *end) {
  size_t piece = piece_for(p, end);
  while (*p != '.' && (size_t)(m->subject_end - s) > piece) {
    const char *limit = s + piece, *stop = run_end(s, limit, p, end);
    gl_match_spend(m, PIECE / 2);
    if (stop < limit) return stop;
    s = limit;
  }
  return run_end(s, m->subject_end, p, end);
}

/* ---- items of the pattern. Each gets what is at *s and *p, and moves both on, or returns false: it does not fit ---- */

static inline bool take_open(gl_match *m, const char **s, const char **p) {
  if (m->level >= GL_MATCH_CAPTURES) luaL_error(m->L, "too many captures");
  bool position = (*p)[1] == ')';
  push_choice(m, GL_OPENED, NULL, NULL, NULL);
  m->capture[m->level].start = *s;
  m->capture[m->level++].length = position ? GL_CAPTURE_POSITION : GL_CAPTURE_OPEN;
  *p += position ? 2 : 1;
  return true;
}

static inline bool take_close(gl_match *m, const char **s, const char **p) {
  int i = m->level - 1;
  while (i >= 0 && m->capture[i].length != GL_CAPTURE_OPEN) i--;
  if (i < 0) luaL_error(m->L, "invalid pattern capture");
  push_choice(m, GL_CLOSED, NULL, NULL, NULL);
  m->choice[m->depth - 1].capture = i;
  m->capture[i].length = *s - m->capture[i].start;
  ++*p;
  return true;
}

/* %bxy */
static bool take_balanced(gl_match *m, const char **s, const char **p) {
  if (m->pattern_end - *p < 4) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  char open = (*p)[2], close = (*p)[3];
  const char *at = *s;
  if (*at != open) return false;
  for (size_t level = 1; ++at < m->subject_end;) {
    step(m);
    if (*at == close) {
      if (--level > 0) continue;
      *s = at + 1;
      *p += 4;
      return true;
    }
    if (*at == open) level++;
  }
  return false;
}

/* %f[set] */
static bool take_frontier(gl_match *m, const char **s, const char **p) {
  const char *set = *p + 2;
  if (*set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
  const char *end = item_end(m, set);
  int before = *s == m->subject ? '\0' : (unsigned char)(*s)[-1];
  if (gl_set_has(before, set, end - 1) || !gl_set_has((unsigned char)**s, set, end - 1)) return false;
  *p = end;
  return true;
}

/* %1 */
static bool take_again(gl_match *m, const char **s, const char **p) {
  int i = (*p)[1] - '1';
  if (i < 0 || i >= m->level || m->capture[i].length == GL_CAPTURE_OPEN) luaL_error(m->L, "invalid capture index %%%d", i + 1);
  size_t length = (size_t)m->capture[i].length; /* of a position: more than there is */
  if ((size_t)(m->subject_end - *s) < length) return false;
  if (length > BYTES_OF_STEP) gl_match_spend(m, length / BYTES_OF_STEP);
  if (memcmp(m->capture[i].start, *s, length) != 0) return false;
  *s += length;
  *p += 2;
  return true;
}

/* A single item with what follows it: nothing, or one of * + - ? */
static inline bool take_single(gl_match *m, const char **s, const char **p) {
  const char *item = *p, *end = item_end(m, item), *at = *s;
  bool fit = fits(m, at, item, end);
  switch (*end) {
    case '?':
      *p = end + 1;
      if (!fit) return true;
      push_choice(m, GL_OPTIONAL, at, NULL, end);
      ++*s;
      return true;
    case '+':
      at++;
      /* fall through */
    case '*':
      *p = end + 1;
      if (!fit) return *end == '*';
      *s = longest_run(m, at, item, end);
      push_choice(m, GL_REPEATED, *s, at, end);
      return true;
    case '-':
      *p = end + 1;
      if (fit) push_choice(m, GL_LAZY, at, item, end);
      return true;
    default:
      ++*s;
      *p = end;
      return fit;
  }
}

/* What the item at p is: '(' ')' '$' 'b' 'f' '1' for those that are special, 0 for a single one. '$' is special at the end only. */
static inline char kind_of(const gl_match *m, const char *p) {
  switch (*p) {
    case '(': case ')': return *p;
    case '$': return p + 1 == m->pattern_end ? '$' : 0;
    case '%': return p[1] == 'b' || p[1] == 'f' ? p[1] : p[1] >= '0' && p[1] <= '9' ? '1' : 0;
    default: return 0;
  }
}

/* Backs up to the topmost choice that has something left. False: there is none, and no match. */
static bool back_up(gl_match *m, const char **s, const char **p) {
  while (m->depth > 0) {
    gl_choice *c = &m->choice[m->depth - 1];
    bool resumed = false;
    switch (c->kind) {
      case GL_OPENED: m->level--; break;
      case GL_CLOSED: m->capture[c->capture].length = GL_CAPTURE_OPEN; break;
      case GL_OPTIONAL:
        *s = c->at;
        *p = c->end + 1;
        m->depth--;
        return true;
      case GL_REPEATED:
        if ((resumed = c->at > c->item)) *s = --c->at;
        break;
      case GL_LAZY:
        if (c->end - c->item > BYTES_OF_STEP) gl_match_spend(m, (size_t)(c->end - c->item) / 8);
        if ((resumed = fits(m, c->at, c->item, c->end))) *s = ++c->at;
        break;
    }
    if (resumed) {
      *p = c->end + 1;
      return true;
    }
    m->depth--;
  }
  return false;
}

const char *gl_match_at(gl_match *m, const char *s, const char *p) {
  m->level = m->depth = 0;
  for (;;) {
    bool fit;
    if (p == m->pattern_end) return s;
    step(m);
    switch (kind_of(m, p)) {
      case '(': fit = take_open(m, &s, &p); break;
      case ')': fit = take_close(m, &s, &p); break;
      case '$': fit = s == m->subject_end; p++; break;
      case 'b': fit = take_balanced(m, &s, &p); break;
      case 'f': fit = take_frontier(m, &s, &p); break;
      case '1': fit = take_again(m, &s, &p); break;
      default: fit = take_single(m, &s, &p); break;
    }
    if (!fit && !back_up(m, &s, &p)) return NULL;
  }
}

/* The single item that every match of the pattern begins with, up to *end; NULL if there may be none. */
static const char *leading_item(gl_match *m, const char *p, const char **end) {
  if (*p == '(' && p[1] != ')') p++;
  if (p == m->pattern_end || kind_of(m, p)) return NULL;
  *end = item_end(m, p);
  return **end == '*' || **end == '?' || **end == '-' ? NULL : p;
}

/* The first character from s to `limit` that the item stands for, or `limit`. */
static const char *first_fit(const char *s, const char *limit, const char *p, const char *end) {
  switch (*p) {
    case '.': return s;
    case '%':
      while (s < limit && !gl_class_has((unsigned char)p[1], (unsigned char)*s)) s++;
      return s;
    case '[':
      while (s < limit && !gl_set_has((unsigned char)*s, p, end - 1)) s++;
      return s;
    default: {
      const char *found = memchr(s, *p, (size_t)(limit - s));
      return found ? found : limit;
    }
  }
}

/* The first place from s on where the item fits, or the end of the subject. */
static const char *skip_to(gl_match *m, const char *s, const char *p, const char *end) {
  size_t piece = piece_for(p, end);
  while ((size_t)(m->subject_end - s) > piece) {
    const char *limit = s + piece, *found = first_fit(s, limit, p, end);
    gl_match_spend(m, *p == '%' || *p == '[' ? PIECE / 2 : PIECE / BYTES_OF_STEP);
    if (found < limit) return found;
    s = limit;
  }
  return first_fit(s, m->subject_end, p, end);
}

const char *gl_match_find(gl_match *m, const char **s, const char *p) {
  if (!m->looked) {
    m->item = leading_item(m, p, &m->item_end);
    m->looked = true;
  }
  for (const char *at = *s; at <= m->subject_end; at++) {
    if (m->item && (at = skip_to(m, at, m->item, m->item_end)) == m->subject_end) break;
    const char *stop = gl_match_at(m, at, p);
    if (!stop) continue;
    *s = at;
    return stop;
  }
  return NULL;
}

/* ---- captures ---- */

ptrdiff_t gl_match_get(gl_match *m, int i, const char *s, const char *e, const char **start) {
  if (i >= m->level) {
    if (i != 0) luaL_error(m->L, "invalid capture index %%%d", i + 1);
    *start = s;
    return e - s;
  }
  const gl_capture *c = &m->capture[i];
  if (c->length == GL_CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
  if (c->length == GL_CAPTURE_POSITION) lua_pushinteger(m->L, c->start - m->subject + 1);
  *start = c->start;
  return c->length;
}

void gl_match_push(gl_match *m, int i, const char *s, const char *e) {
  const char *start;
  ptrdiff_t length = gl_match_get(m, i, s, e, &start);
  if (length != GL_CAPTURE_POSITION) lua_pushlstring(m->L, start, (size_t)length);
}

int gl_match_push_all(gl_match *m, const char *s, const char *e) {
  int n = m->level == 0 && s ? 1 : m->level;
  luaL_checkstack(m->L, n, "too many captures");
  for (int i = 0; i < n; i++) gl_match_push(m, i, s, e);
  return n;
}
