/* SPDX-License-Identifier: MIT
 *
 * The plan of a response: status, headers and body, as a handler returned them, checked. The server sends a plan (response.c), and
 * native.settle returns one to callers that have no connection (settle.c), so that both follow one rule. Every function raises an
 * error of the handler's for a value that is wrong.
 */
#ifndef GL_WEB_PLAN_H
#define GL_WEB_PLAN_H

#include "core/host.h"
#include "json/json.h"
#include "message/head.h"

#define GL_TEXT_PLAIN "text/plain; charset=utf-8"

typedef struct gl_plan {
  int status;
  bool has_type, has_length, close; /* the headers name Content-Type, Content-Length, Connection: close */
  bool live;         /* the body is a stream that is of use only to its client: of events */
  lua_Integer length; /* the Content-Length, with `has_length` */
  char *text;        /* GL_SCRATCH bytes: names and values of the other headers; NULL if `table` is set */
  size_t text_len;
  gl_field *fields;  /* the end of those bytes: `nfields` places in the text stand right before it */
  uint32_t nfields;
  const char *what;  /* what a name is of, for errors: "response header" */
  int table;         /* stack index of a table that gets the headers instead, by lower-case name; 0: none */
} gl_plan;

/* The body of a response that is no stream. */
typedef struct gl_plan_body {
  const char *type;      /* the Content-Type, unless the headers name one; NULL: none */
  const char *at;        /* its bytes; NULL: there is no body */
  size_t n;
  bool encoded;          /* the bytes are those of `json`, which the caller ends by gl_json_done */
  gl_json_text json;
} gl_plan_body;

/* Raises an error of the handler's. Never returns. */
int gl_handler_error(lua_State *L, const char *format, ...);

/* Reads status and kind of the response at idx, the top; leaves its headers, status and stream above. True: the body is a stream,
 * whose function is at idx + 3. May run Lua. */
bool gl_plan_read(lua_State *L, int idx, gl_plan *p);

/* Finds the body of the response at idx, and pushes a value that keeps its bytes alive. May run Lua. */
void gl_plan_find_body(lua_State *L, int idx, gl_plan_body *b);

/* Encodes the value on top as the body, and pushes the text. May run Lua. */
void gl_plan_write_json(lua_State *L, gl_plan_body *b);

/* Checks and copies the headers in the table at idx, if it is a table, in one go, so that the headers that are sent are those that
 * were checked. A copy into `text` allocates nothing in Lua, and so runs nothing; it is valid until the next call into Lua. */
void gl_plan_read_headers(lua_State *L, int idx, gl_plan *p);

typedef enum gl_table_kind { GL_TABLE_PLAIN, GL_TABLE_RESPONSE, GL_TABLE_SETTLES } gl_table_kind;

/* Returns what the table on top is: a value for JSON, a response, or a table of which a function makes the answer, which is pushed:
 * settle(value, request). It is the `settle` of a response that depends on its request (a file: conditions, ranges), called when
 * all middleware has run, or `__answer` in the metatable of an answer by green.http or app:inject. It may wait. */
gl_table_kind gl_plan_kind(lua_State *L);

/* Raises for a value that is no answer. */
int gl_plan_refuse(lua_State *L);

#endif
