/* SPDX-License-Identifier: MIT
 *
 * Open files: the handle, and what opening hands over to it.
 */
#ifndef GL_FS_FILE_H
#define GL_FS_FILE_H

#include <lua.h>

#include "fs/job.h"

/* Pushes the file of a job that opened one into j->cleanup (taken over); j->st is its status, j->flags how it was
 * opened. May raise: then the job still has it. */
void gl_fs_push_file(lua_State *L, gl_fs_job *j);

/* Creates the metatables of handles. Once per host. */
void gl_fs_open_handles(lua_State *L);

#endif
