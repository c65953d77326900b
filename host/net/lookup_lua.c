/* SPDX-License-Identifier: MIT */
#include "net/lookup_lua.h"

#include <stdio.h>
#include <string.h>

#include "core/args.h"
#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "net/address.h"
#include "net/lookup.h"

#define OP "net.resolve"

int gl_resolve_failed(int status) { return status <= UV_EAI_ADDRFAMILY && status >= UV_EAI_PROTOCOL && status != UV_EAI_CANCELED; }

const char *gl_resolve_reason(int status, const char **code) {
  *code = uv_err_name(status);
  switch (status) {
    case UV_EAI_NONAME: case UV_EAI_NODATA: case UV_EAI_ADDRFAMILY: *code = "ENOTFOUND"; return "no such host";
    case UV_EAI_AGAIN: return "the name servers gave no answer";
    default: return uv_strerror(status);
  }
}

int gl_resolve_raise(lua_State *L, const char *op, int status, const char *host) {
  const char *code, *reason = gl_resolve_reason(status, &code);
  return gl_error_raise(L, op, code, "%s: %s", host, reason);
}

/* ---- the script's function ---- */

typedef struct resolve_op {
  gl_op op;
  gl_lookup *lookup;
  struct addrinfo *list;
  char host[GL_HOST_MAX];
} resolve_op;

static void push_address(lua_State *L, const struct sockaddr *sa) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (sa->sa_family == AF_INET6) uv_ip6_name((const struct sockaddr_in6 *)sa, ip, sizeof ip);
  else uv_ip4_name((const struct sockaddr_in *)sa, ip, sizeof ip);
  lua_pushstring(L, ip);
}

static int push_resolve(lua_State *L, gl_op *op) {
  resolve_op *r = (resolve_op *)op;
  if (op->status < 0) return gl_resolve_raise(L, OP, op->status, r->host);
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct addrinfo *at = r->list; at; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    push_address(L, at->ai_addr);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static void cancel_resolve(gl_op *op) {
  gl_lookup_cancel(((resolve_op *)op)->lookup);
  gl_op_done(op, UV_ECANCELED);
}

static void free_resolve(gl_op *op) { uv_freeaddrinfo(((resolve_op *)op)->list); }

static void object_resolve(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const resolve_op *)op)->host); }

static const gl_optype resolve_type = {OP, push_resolve, cancel_resolve, free_resolve, object_resolve};

static void on_resolve(void *owner, int status, struct addrinfo *list) {
  resolve_op *r = owner;
  r->list = list;
  gl_op_done(&r->op, status);
}

static int resolve_number(lua_State *L, const gl_address *address, int family) {
  if (family != AF_UNSPEC && family != address->family) return gl_resolve_raise(L, OP, UV_EAI_ADDRFAMILY, lua_tostring(L, 1));
  lua_createtable(L, 1, 0);
  push_address(L, (const struct sockaddr *)&address->ip);
  lua_rawseti(L, -2, 1);
  return 1;
}

int gl_net_resolve(lua_State *L) {
  static const char *const options[] = {"family", "timeout", NULL};
  size_t len;
  const char *host = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len > 0 && len < GL_HOST_MAX && strlen(host) == len, 1, "the name of a host expected");
  gl_args_check_names(L, 2, options);
  int family = gl_args_family(L, 2);
  double timeout = gl_args_timeout(L, 2, 30);
  gl_address number = {0};
  if (gl_address_number(host, 0, &number)) return resolve_number(L, &number, family);
  resolve_op *r = gl_op_new(L, &resolve_type, sizeof *r, 0);
  memcpy(r->host, host, len + 1);
  int err = gl_lookup_start(r->op.host, host, 0, family, on_resolve, r, &r->lookup);
  if (err) gl_op_done(&r->op, err);
  return gl_await(L, &r->op, timeout);
}
