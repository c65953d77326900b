/* SPDX-License-Identifier: MIT
 *
 * The read formats of the io library ("n", "l", "L", "a", a count) over bytes that arrive in pieces. Nothing is
 * consumed before all formats are satisfied: a read that is cancelled half-way loses no data, and a scan that ran out
 * of bytes is simply called again with more.
 *
 *     parse (Lua arguments) -> scan, more bytes, scan ... -> push (Lua values) -> the owner eats `pos` bytes
 */
#ifndef GL_IO_FORMAT_H
#define GL_IO_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#define GL_NUMERAL_MAX 200 /* characters of a number, as stock */

typedef enum gl_format_kind { GL_READ_NUMBER, GL_READ_LINE, GL_READ_WHOLE_LINE, GL_READ_ALL, GL_READ_COUNT, GL_READ_BAD } gl_format_kind;

typedef struct gl_format {
  uint8_t kind;   /* gl_format_kind */
  bool ok;        /* scanned, and there was something */
  size_t n;       /* GL_READ_COUNT: how many bytes */
  size_t at, len; /* scanned: where the value lies in the bytes */
} gl_format;

typedef struct gl_formats {
  int first;      /* stack index of the first argument, for errors; 0 = there was none: one line */
  int n;          /* how many */
  int done;       /* how many of them are scanned */
  size_t pos;     /* bytes the scanned ones use up */
  size_t seen;    /* bytes the current one has looked at in vain */
  gl_format item[];
} gl_formats;

/* Bytes for `n` formats (0 = none given, which is one line). */
size_t gl_formats_size(int n);

/* Fill in `r`, which has gl_formats_size bytes, from `n` arguments from `first` on. A wrong argument is kept until it is its turn. Never raises. */
void gl_formats_parse(lua_State *L, int first, int n, gl_formats *r);

/* Go on scanning from the start of what was not consumed. True: complete. `eof`: no more bytes will come. */
bool gl_formats_scan(gl_formats *r, const char *bytes, size_t len, bool eof);

/* How many more bytes would surely be of use now: 1 = any, SIZE_MAX = all there are. */
size_t gl_formats_want(const gl_formats *r, size_t len);

/* Pushes the values of a complete scan (nil for the one that failed, then no more) and returns how many. Raises for lack of
 * memory only. The owner eats r->pos bytes before, so `bytes` must stay readable. */
int gl_formats_push(lua_State *L, const gl_formats *r, const char *bytes);

/* Raises the complaint of a wrong argument, once the values before it are pushed, as the stock library does; returns if there is none. */
void gl_formats_refuse(lua_State *L, const gl_formats *r);

#endif
