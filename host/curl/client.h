/* SPDX-License-Identifier: MIT */
#ifndef GL_CURL_CLIENT_H
#define GL_CURL_CLIENT_H

#include <lua.h>

/* green.http.client: request(spec) and the stream of a response body. lualib/green/http/transport.lua is its only user. */
int luaopen_green_http_client(lua_State *L);

#endif
