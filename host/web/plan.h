/* SPDX-License-Identifier: MIT
 *
 * What a value that a handler returned says about the response: its status, headers and body, checked. The server sends
 * a plan (response.c), and native.settle tells it to whoever is no server (settle.c): one rule for both.
 */
#ifndef GL_WEB_PLAN_H
#define GL_WEB_PLAN_H

#include "core/host.h"
#include "http/message.h"
#include "json/json.h"

#define GL_TEXT_PLAIN "text/plain; charset=utf-8"

typedef struct gl_plan {
  int status;
  bool has_type, has_length, close; /* headers the response brings itself */
  bool live;         /* a stream that is about its client: of events */
  lua_Integer length;
  char *text;        /* GL_SCRATCH bytes: names and values of its other headers; NULL if `table` is set */
  size_t text_len;
  gl_field *fields;  /* the end of those bytes: `nfields` places in the text stand right before it */
  uint32_t nfields;
  int table;         /* or 0: stack index of a table the headers go into instead, by lower-case name */
} gl_plan;

/* What follows the head, and the content type it has by itself. */
typedef struct gl_plan_body {
  const char *type, *at; /* at: NULL: there is none */
  size_t n;
  bool encoded;          /* into `json`, which gl_json_done ends */
  gl_json_text json;
} gl_plan_body;

/* Raises an error of the handler's. Never returns. */
int gl_handler_error(lua_State *L, const char *format, ...);

/* Reads the status and the kind of the response at idx, on top; leaves headers, status and stream above it. True: it is a stream, whose
 * function is at idx + 3. May run Lua. */
bool gl_plan_read(lua_State *L, int idx, gl_plan *p);

/* Finds the body of the response at idx; one value more is on the stack then, which keeps the bytes alive. May run Lua. */
void gl_plan_find_body(lua_State *L, int idx, gl_plan_body *b);

/* Encodes the value on top; the text is pushed. May run Lua. */
void gl_plan_write_json(lua_State *L, gl_plan_body *b);

/* Checks the headers in the table at idx, if there is one, and copies them in the same go. Into the text: allocates nothing in
 * Lua and so runs nothing, and what was copied stays until the next call into Lua. */
void gl_plan_read_headers(lua_State *L, int idx, gl_plan *p);

typedef enum gl_table_kind { GL_TABLE_PLAIN, GL_TABLE_RESPONSE, GL_TABLE_SETTLES } gl_table_kind;

/* What the table on top is. GL_TABLE_SETTLES: it is made an answer by the function that is pushed, settle(value, request): that of a
 * response whose answer depends on its request (a file: conditions, ranges), when all middleware has run; or __answer in the
 * metatable of what is the answer of something else (green.http, app:inject). It may wait. */
gl_table_kind gl_plan_kind(lua_State *L);

/* Raises for a value that is no answer. */
int gl_plan_refuse(lua_State *L);

#endif
