/* SPDX-License-Identifier: MIT
 *
 * The userdata of a file: what C modules expect of a "FILE*" (a luaL_Stream), and behind it our gl_file. Others make
 * such values too, with stdio's functions in mind; those are served by the stock library.
 */
#ifndef GL_IO_STDIO_H
#define GL_IO_STDIO_H

#include <lauxlib.h>

#include "io/file.h"

typedef struct gl_stdio {
  luaL_Stream s;     /* s.f: for fileno and the like; s.closef: NULL = closed */
  const void *mark;  /* &gl_stdio_mark: it is one of ours */
  gl_file *file;     /* held, except for the standard ones; NULL = not open yet, or finalized */
  void *owner;       /* for closef: the process of a popen */
  void (*drop)(void *owner); /* lets go of an owner that closef left */
  bool collected;    /* closef is called because nobody has the value any more: it must not wait */
} gl_stdio;

extern const char gl_stdio_mark;

/* Push a new one, closed. May raise. */
gl_stdio *gl_stdio_new(lua_State *L);

/* Make `file` its file, whose reference it takes over. `closef`: as in luaL_Stream; may await; called with the stream
 * at index 1, when s.closef is NULL already; NULL = the usual. */
void gl_stdio_open(gl_stdio *s, gl_file *file, lua_CFunction closef);

/* Is the value one of ours? NULL: no. */
gl_stdio *gl_stdio_test(lua_State *L, int idx);

/* May the running code wait at all? Not in finalizers, nor outside of tasks. */
bool gl_may_wait(lua_State *L);

/* What luaL_fileresult makes of a negative errno. */
int gl_stdio_fail(lua_State *L, int status, const char *name);

/* io.lines with a file name, once it is open: pushes the iterator for the stream at index 1. */
void gl_stdio_push_lines(lua_State *L, bool toclose);

/* Call the stock library's function with the same arguments: upvalue 2 of the functions of io. */
int gl_stdio_stock(lua_State *L);

#define GL_INPUT "_IO_input" /* where the stock library keeps the default files, in the registry */
#define GL_OUTPUT "_IO_output"

/* io.lines with a file name. */
int gl_stdio_open_lines(lua_State *L, const char *name);

/* ---- shared by the files that implement the methods ---- */

/* The host's files, which are upvalue 1 of each function of io, too. NULL once the state closes. */
gl_files *gl_io_files(lua_State *L);

/* Puts `functions` of the io library, `methods` of files and `meta`, their metamethods (both may be NULL), in the place of the stock
 * ones, which become upvalue 2. The three tables lie on top: metatable, methods, io. */
void gl_io_replace(lua_State *L, const luaL_Reg *functions, const luaL_Reg *methods, const luaL_Reg *meta);

/* Each file's part of that. */
void gl_stdio_install_close(lua_State *L);
void gl_stdio_install_open(lua_State *L);
void gl_stdio_install_read(lua_State *L);
void gl_stdio_install_write(lua_State *L);

/* Reads all that stdin has left. Upvalue 1: the host's files. */
int gl_io_read_all(lua_State *L);

/* NULL: a stranger's, for the stock function. Raises for what is no open file. */
gl_file *gl_stdio_check(lua_State *L);

/* The default file of `where` (GL_INPUT, GL_OUTPUT), whose stream is pushed. NULL: a stranger's, nothing was pushed. Raises
 * when it is closed. */
gl_file *gl_stdio_default(lua_State *L, const char *where);

bool gl_in_finalizer(lua_State *L);

/* What a flush nobody waited for met; told once. */
int gl_stdio_take_error(gl_file *f);

/* Write everything now, where nobody may wait. False: that might block; nothing was done. */
bool gl_stdio_flush_unwaited(gl_file *f, ssize_t *status);

static inline bool gl_must_wait(ssize_t status) { return status == GL_WAIT_READY || status == GL_WAIT_POOL; }

/* A job that writes: write, print, flush, seek, close. */
typedef struct gl_writejob {
  gl_filejob job;
  gl_buf text;     /* to be accepted when it is its turn */
  uint64_t target; /* wants everything written up to here; 0 = what is accepted when it is its turn */
  int whence;      /* seek */
  lua_Integer offset;
} gl_writejob;

/* Its step: 0 = all is written. */
int gl_writejob_step(gl_filejob *j);
void gl_writejob_free(gl_op *op);

#endif
