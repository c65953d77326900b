/* SPDX-License-Identifier: MIT
 *
 * Numbers as JSON writes them, to the last bit and whatever the locale. Plain C: no Lua, no loop.
 */
#ifndef GL_JSON_NUMBER_H
#define GL_JSON_NUMBER_H

#include <stdint.h>

#define GL_NUMBER_MAX 32 /* bytes that a number written here takes at most */

typedef enum gl_number_kind { GL_NUMBER_INTEGER, GL_NUMBER_FLOAT, GL_NUMBER_TOO_LARGE, GL_NUMBER_WRONG } gl_number_kind;

typedef struct gl_number {
  gl_number_kind kind;
  const char *end;   /* behind it; GL_NUMBER_WRONG: where it is wrong */
  const char *fault; /* GL_NUMBER_WRONG: what is, in words */
  int64_t integer;
  double real;
} gl_number;

/* Reads the number at `at`, a minus or a digit, in text that ends with a byte no number has. Whole numbers are integers
 * where 64 bits hold them, but for -0, which only a float can be. */
void gl_number_read(const char *at, gl_number *number);

/* Writes to `to` (GL_NUMBER_MAX bytes) and returns where it ended. */
char *gl_number_put_integer(char *to, int64_t n);

/* A finite one, with the fewest digits that give it back (17 for a few that are very large or small), and always with a
 * point or an exponent: what is read again is a float. */
char *gl_number_put_float(char *to, double n);

#endif
