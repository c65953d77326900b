/* SPDX-License-Identifier: MIT
 *
 * Numbers as JSON writes them, exact to the last bit in every locale. Plain C: no Lua, no loop; nothing here fails for want of memory.
 */
#ifndef GL_JSON_NUMBER_H
#define GL_JSON_NUMBER_H

#include <stdint.h>

#define GL_NUMBER_MAX 32 /* bytes of a number that is written, at most */

typedef enum gl_number_kind { GL_NUMBER_INTEGER, GL_NUMBER_FLOAT, GL_NUMBER_TOO_LARGE, GL_NUMBER_WRONG } gl_number_kind;

typedef struct gl_number {
  gl_number_kind kind;
  const char *end;   /* the byte behind the number; GL_NUMBER_WRONG: the byte that is wrong */
  const char *fault; /* GL_NUMBER_WRONG: the fault in words, a static text */
  int64_t integer;   /* GL_NUMBER_INTEGER: the value */
  double real;       /* GL_NUMBER_FLOAT: the value; GL_NUMBER_TOO_LARGE: an infinity */
} gl_number;

/* Reads the number at `at`, where there is a minus or a digit; the text must end with a byte that cannot be part of a number, such as
 * a NUL. A whole number that 64 bits hold is an integer; all others are floats, and so is -0, which no integer can be. */
void gl_number_read(const char *at, gl_number *number);

/* Writes `n` to `to`, where GL_NUMBER_MAX bytes have room, without a NUL; returns the byte behind the last digit. */
char *gl_number_put_integer(char *to, int64_t n);

/* Writes a finite `n` in the same way, with the fewest digits that are read as `n` again (with 17 for a few that are very large or
 * small), and always with a point or an exponent, so that a reader takes the number for a float. */
char *gl_number_put_float(char *to, double n);

#endif
