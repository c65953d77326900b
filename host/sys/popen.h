/* SPDX-License-Identifier: MIT
 *
 * io.popen with the stock meaning: a file whose reads, writes and close wait as everything does. Cancelling the close
 * ends the command; a file that is collected lets it go on, as stock does, and reaps it.
 */
#ifndef GL_SYS_POPEN_H
#define GL_SYS_POPEN_H

#include <lua.h>

/* Replaces io.popen. */
void gl_open_popen(lua_State *L);

#endif
