/* SPDX-License-Identifier: MIT
 *
 * The userdata of a file: a luaL_Stream, which C modules expect of a "FILE*", and behind it a gl_file. C modules make such values,
 * too, with functions of stdio behind them; the stock library serves those ("foreign" below).
 */
#ifndef GL_IO_STDIO_H
#define GL_IO_STDIO_H

#include <lauxlib.h>

#include "io/file.h"

typedef struct gl_stdio {
  luaL_Stream s;     /* s.f: for fileno and the like; s.closef: NULL = closed */
  const void *mark;  /* &gl_stdio_mark: the value is not foreign */
  gl_file *file;     /* one reference is the value's (not of a standard file); NULL = not open yet, or finalized */
  void *owner;       /* for closef: the process of a popen; else NULL */
  void (*drop)(void *owner); /* drops the reference to an owner that closef has left there */
  bool collected;    /* closef is called by the collector, and must not wait */
} gl_stdio;

extern const char gl_stdio_mark;

/* Pushes a value without a file. Raises (memory). */
gl_stdio *gl_stdio_new(lua_State *L);

/* Gives the value its file, whose reference it takes over. `closef` is that of luaL_Stream and may await; it is called with the
 * stream at index 1, when s.closef is NULL already. NULL = gl_stdio_close. */
void gl_stdio_open(gl_stdio *s, gl_file *file, lua_CFunction closef);

/* Returns the value at idx; NULL when it is foreign or no file. */
gl_stdio *gl_stdio_test(lua_State *L, int idx);

/* Says whether the running code may wait at all: not in finalizers, nor outside of tasks. */
bool gl_may_wait(lua_State *L);

/* Pushes what luaL_fileresult makes of a negative errno. Returns 3. */
int gl_stdio_fail(lua_State *L, int status, const char *name);

/* Pushes the iterator over the stream at index 1, with the formats above it. `toclose`: the iterator closes the file at its end. */
void gl_stdio_push_lines(lua_State *L, bool toclose);

/* Calls the stock library's function, upvalue 2, with the same arguments. */
int gl_stdio_stock(lua_State *L);

#define GL_INPUT "_IO_input" /* where the stock library keeps the default files, in the registry */
#define GL_OUTPUT "_IO_output"

/* Opens the file for io.lines(name), and returns what that returns. Awaits. */
int gl_stdio_open_lines(lua_State *L, const char *name);

/* ---- shared by the files that implement the methods ---- */

/* The host's files, which are upvalue 1 of each function of io, too. NULL once the state closes. */
gl_files *gl_io_files(lua_State *L);

/* Puts `functions` of the io library, `methods` of files and `meta`, their metamethods (both may be NULL), in the place of the stock
 * ones, which become upvalue 2. The three tables lie on top: metatable, methods, io. */
void gl_io_replace(lua_State *L, const luaL_Reg *functions, const luaL_Reg *methods, const luaL_Reg *meta);

/* Each does so for the functions of one file. */
void gl_stdio_install_close(lua_State *L);
void gl_stdio_install_open(lua_State *L);
void gl_stdio_install_read(lua_State *L);
void gl_stdio_install_write(lua_State *L);

/* Reads all that stdin has left. Upvalue 1: the host's files. */
int gl_io_read_all(lua_State *L);

/* Returns the file of the value at index 1; NULL when it is foreign. Raises when it is no open file. */
gl_file *gl_stdio_check(lua_State *L);

/* Returns the default file of `where` (GL_INPUT, GL_OUTPUT), and pushes its value; NULL when it is foreign, and pushes nothing.
 * Raises when the file is closed. */
gl_file *gl_stdio_default(lua_State *L, const char *where);

/* Returns the error that a flush met which nobody waited for, once; else 0. */
int gl_stdio_take_error(gl_file *f);

/* Writes everything where nobody may wait. Returns false, and has done nothing, when that might block. */
bool gl_stdio_flush_unwaited(gl_file *f, ssize_t *status);

static inline bool gl_must_wait(ssize_t status) { return status == GL_WAIT_READY || status == GL_WAIT_POOL; }

/* A job that writes: write, print, flush, seek, close. */
typedef struct gl_writejob {
  gl_filejob job;
  gl_buf text;     /* to be accepted when the job is the first of its queue */
  uint64_t target; /* done when file->written is that far; 0 = as far as is accepted when the job is the first */
  int whence;      /* of a seek */
  lua_Integer offset;
} gl_writejob;

/* The step of such a job; the job is finished when all is written. */
int gl_writejob_step(gl_filejob *j);
void gl_writejob_free(gl_op *op);

#endif
