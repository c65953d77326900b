/* SPDX-License-Identifier: MIT
 *
 * Which characters a single item of a pattern stands for: a character, '.', a class such as %a, or a [set]. Classes depend on the
 * locale, as in the stock library.
 */
#ifndef GL_STDLIB_CHARSET_H
#define GL_STDLIB_CHARSET_H

#include <ctype.h>
#include <stdbool.h>

/* Is c of the class %name? After any other character than the letters of classes, the class is that character alone. */
static inline bool gl_class_has(int name, int c) {
  int in;
  switch (name | 0x20) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break; /* no longer in the manual, and still in the library */
    default: return name == c;
  }
  return name & 0x20 ? in != 0 : in == 0;
}

/* Is c in the set from its '[' at p to its ']' at `end`? */
static inline bool gl_set_has(int c, const char *p, const char *end) {
  bool found = p[1] != '^';
  p += found ? 1 : 2;
  while (p < end) {
    int first = (unsigned char)*p;
    if (first == '%') {
      if (gl_class_has((unsigned char)p[1], c)) return found;
      p += 2;
    } else if (p[1] == '-' && p + 2 < end) {
      if (first <= c && c <= (unsigned char)p[2]) return found;
      p += 3;
    } else {
      if (first == c) return found;
      p++;
    }
  }
  return !found;
}

/* Is c what the item from p to `end` stands for? */
static inline bool gl_item_has(int c, const char *p, const char *end) {
  switch (*p) {
    case '.': return true;
    case '%': return gl_class_has((unsigned char)p[1], c);
    case '[': return gl_set_has(c, p, end - 1);
    default: return (unsigned char)*p == c;
  }
}

#endif
