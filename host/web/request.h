/* SPDX-License-Identifier: MIT
 *
 * The request as scripts see it: a userdata that holds the bytes of its head and turns them into Lua values
 * when they are asked for. It outlives the answer; its body does not.
 */
#ifndef GL_WEB_REQUEST_H
#define GL_WEB_REQUEST_H

#include "web/call.h"

struct gl_request {
  gl_exchange *x;      /* NULL once the request was answered */
  uint64_t id;         /* among the server's requests, and no other server's either */
  uint32_t nfields, target_len, text_len;
  uint32_t path_len;   /* of the target before '?' */
  uint8_t method, minor; /* method: llhttp_method_t, or GL_METHOD_OTHER: */
  uint8_t method_len;    /* then its name is behind the text */
  bool keep_alive, upgrade, has_body;
  bool trust_id;       /* X-Request-Id is its id */
  uint8_t results;     /* stack index of the first thing its handler returns */
  bool escaped, dotted; /* the path has a % or a segment that begins with a dot */
  gl_field fields[];   /* then the text */
};

/* Main function of a request's task: makes the request, calls its handler, sends the answer. */
int gl_request_main(lua_State *L);

/* The same for a request that failed: calls the app's function for that (its call's error_ref), and sends its answer. */
int gl_request_failed_main(lua_State *L);

/* The target, then names and values of the fields, at their places. */
static inline const char *gl_request_text(const gl_request *r) { return (const char *)&r->fields[r->nfields]; }

/* What is wrong with the path of a request as a path of a file system; NULL: nothing. Leaves the stack as it was; may run finalizers. */
const char *gl_request_wrong_path(lua_State *L, const gl_request *r);

/* Pushes the path, percent-decoded. */
void gl_request_push_path(lua_State *L, const gl_request *r);

/* Pushes all header fields as a table, and one field (nil: there is none); lines of the same name are joined. */
void gl_request_push_headers(lua_State *L, const gl_request *r);
void gl_request_push_header(lua_State *L, const gl_request *r, const char *name, size_t n);

/* wrong_path(raw path) -> what the server finds wrong with it, or nil */
int gl_request_check_path(lua_State *L);

/* The request at a stack index. Raises on anything else. */
gl_request *gl_check_request(lua_State *L, int idx);

/* Pushes the table of what is kept with the request at idx (positive). */
void gl_request_fields(lua_State *L, int idx);

/* The method's name, which has no final 0. */
const char *gl_request_method(const gl_request *r, size_t *len);

#define GL_REQ_ID_MAX 129 /* bytes, with the final 0 */

/* What it is called in the log and by req.id: what a trusted proxy calls it, or a name of our own. */
void gl_request_name(const gl_request *r, char out[GL_REQ_ID_MAX]);

/* First header of that (lower-case) name: its value, or NULL. */
const char *gl_request_header(const gl_request *r, const char *name, size_t *len);

/* The metatable of requests is at this key of the registry: found without hashing a name, once a request. */
extern const char gl_request_meta;

/* Registers the metatable; pushes the table { methods = {}, getters = {} } that Lua may add to. */
void gl_request_class(lua_State *L);

/* Adds body and chunks to the table of methods on top of the stack (web/body.c). */
void gl_request_body_methods(lua_State *L);

#endif
