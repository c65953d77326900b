/* SPDX-License-Identifier: MIT
 *
 * The request as scripts see it: a userdata that holds the bytes of the head and turns them into Lua values when the script asks for
 * them. The userdata outlives the answer; the request's body does not. Functions with a lua_State may raise without memory.
 */
#ifndef GL_WEB_REQUEST_H
#define GL_WEB_REQUEST_H

#include "net/address.h"
#include "web/call.h"

/* A place in a request's text. */
typedef struct gl_place {
  uint32_t at, len;
} gl_place;

struct gl_request {
  gl_exchange *x;      /* NULL once the request was answered */
  uint64_t id;         /* unlike that of any other request, of other servers, too */
  uint32_t nfields, target_len, text_len;
  uint32_t path_len;   /* of the target before '?' */
  uint8_t method, minor; /* llhttp_method_t or GL_METHOD_OTHER; of the version 1.minor, or GL_MINOR_HTTP2 */
  uint8_t method_len;    /* GL_METHOD_OTHER: bytes of the method's name, which is behind the text; else 0 */
  bool keep_alive, upgrade, has_body, tunnel;
  bool secure;         /* it came over TLS, or a trusted proxy says that it did */
  gl_place client, host; /* what trusted proxies say of the client's address, and of Host (web/forwarded.h); `len` 0: nothing */
  bool trust_id;       /* X-Request-Id, if there is a good one, takes the place of `id` */
  uint8_t results;     /* stack index of the first value that the handler returns */
  bool escaped, dotted; /* the path has a % or a segment that begins with a dot */
  gl_field fields[];   /* then the text */
};

/* Main function of a request's task: makes the request, calls its handler, sends the answer. May wait. */
int gl_request_main(lua_State *L);

/* Main function of the task that answers a failure: calls the app's on_error (the call's error_ref), and sends its answer. May wait. */
int gl_request_failed_main(lua_State *L);

/* Returns the text: the target, then names and values of the fields, at their places. */
static inline const char *gl_request_text(const gl_request *r) { return (const char *)&r->fields[r->nfields]; }

/* Returns what is wrong with the path of a request as a path of a file system; NULL: nothing. May run finalizers. */
const char *gl_request_wrong_path(lua_State *L, const gl_request *r);

/* Pushes the path, percent-decoded. */
void gl_request_push_path(lua_State *L, const gl_request *r);

/* Pushes all header fields as a table, by lower-case name; lines of the same name are joined. */
void gl_request_push_headers(lua_State *L, const gl_request *r);

/* Pushes one header field as it is in that table, whatever the case of `name`; nil: there is none. */
void gl_request_push_header(lua_State *L, const gl_request *r, const char *name, size_t n);

/* wrong_path(raw path) -> a text for what the server finds wrong with the path, or nil */
int gl_request_check_path(lua_State *L);

/* The request at a stack index. Raises on anything else. */
gl_request *gl_check_request(lua_State *L, int idx);

/* Pushes the table of values that are kept with the request at idx (positive): what the script set, and what was built once. */
void gl_request_fields(lua_State *L, int idx);

/* Returns the method's name, which has no final 0, and its length. */
const char *gl_request_method(const gl_request *r, size_t *len);

/* Writes the address of the client, as trusted proxies tell it, "unix" for a unix socket. False: the request was answered, or the peer is
 * gone. */
bool gl_request_peer(const gl_request *r, char out[GL_ADDRESS_MAX]);

#define GL_REQ_ID_MAX 129 /* bytes, with the final 0 */

/* Writes the request's name, for the log and req.id: the X-Request-Id of a trusted proxy, or the id in hexadecimal. */
void gl_request_name(const gl_request *r, char out[GL_REQ_ID_MAX]);

/* Returns the value of the first header of that (lower-case) name, and its length; NULL: there is none. */
const char *gl_request_header(const gl_request *r, const char *name, size_t *len);

/* Finds the next line of a header of that (lower-case) name from line *i on, and moves *i behind it. False: there is none. */
bool gl_request_next_line(const gl_request *r, const char *name, uint32_t *i, gl_text *value);

/* Returns the host, with or without a port, that the client asked for, as trusted proxies tell it, and its length; NULL: HTTP/1.0 without Host. */
const char *gl_request_host(const gl_request *r, size_t *len);

/* The key of the metatable of requests in the registry: each request looks the metatable up, without hashing a name. */
extern const char gl_request_meta;

/* Registers the metatable, and pushes a table { wrong_path, methods, getters }, to whose two tables the Lua half may add. */
void gl_request_class(lua_State *L);

/* Adds body and chunks to the table of methods on top of the stack (web/body.c). */
void gl_request_body_methods(lua_State *L);

#endif
