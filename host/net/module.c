/* SPDX-License-Identifier: MIT */
#include "net/module.h"

#include <lauxlib.h>

#include "net/dial_lua.h"
#include "net/listener_lua.h"
#include "net/lookup.h"
#include "net/lookup_lua.h"
#include "net/socket.h"
#include "net/tls_lua.h"
#include "net/udp_lua.h"

int gl_open_net(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"connect", gl_net_connect}, {"listen", gl_net_listen}, {"resolve", gl_net_resolve}, {"udp", gl_net_udp}, {NULL, NULL},
  };
  gl_lookup_open(L);
  gl_socket_open(L);
  gl_listen_open(L);
  gl_tls_open(L);
  gl_udp_open(L);
  luaL_newlib(L, functions);
  return 1;
}
