/* SPDX-License-Identifier: MIT */
#include "net/module.h"

#include <lauxlib.h>

#include "net/dial_lua.h"
#include "net/listener_lua.h"
#include "net/lookup_lua.h"
#include "net/socket.h"
#include "net/tls_lua.h"
#include "net/udp_lua.h"

int luaopen_green_net(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"connect", gl_net_connect}, {"listen", gl_net_listen}, {"resolve", gl_net_resolve}, {"udp", gl_net_udp}, {NULL, NULL},
  };
  gl_socket_class(L);
  gl_listener_class(L);
  gl_tls_class(L);
  gl_udp_class(L);
  luaL_newlib(L, functions);
  return 1;
}
