/* SPDX-License-Identifier: MIT
 *
 * Opening files. A file whose name is in the kernel's cache is opened at once (openat2 with RESOLVE_CACHED); the thread pool opens
 * the others, and those that are created or truncated. A named pipe is opened without waiting for the other end: a reader then
 * waits for its first bytes, a writer tries again until somebody reads.
 */
#include "io/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/work.h"

#define RETRY 0.002 /* seconds between two looks for a reader of a named pipe, at first */
#define RETRY_MAX 0.1

/* The function that opens the file, which decides what becomes of it. */
typedef enum opened_for { FOR_OPEN, FOR_TMPFILE, FOR_INPUT, FOR_OUTPUT, FOR_LINES } opened_for;

typedef struct open_op {
  gl_work work;
  gl_timer retry;
  double pause;
  bool cancelled;
  gl_files *files;
  int fd;        /* the new descriptor, until the stream takes it; -1 = none */
  int flags;
  uint8_t purpose; /* opened_for */
  char mode[4];  /* for fdopen */
  char path[];
} open_op;

/* ---- modes ---- */

/* Modes are those of stock Lua: [rwa]%+?b* */
static bool is_mode(const char *mode) {
  if (!*mode || !strchr("rwa", *mode++)) return false;
  if (*mode == '+') mode++;
  return strspn(mode, "b") == strlen(mode);
}

static int flags_of(const char *mode) {
  int access = mode[1] == '+' ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
  int create = *mode == 'w' ? O_CREAT | O_TRUNC : *mode == 'a' ? O_CREAT | O_APPEND : 0;
  return access | create | O_CLOEXEC | O_NONBLOCK;
}

static void short_mode(char to[4], const char *mode) {
  to[0] = mode[0];
  to[1] = mode[1] == '+' ? '+' : '\0';
  to[2] = '\0';
}

/* ---- what becomes of it ---- */

static int no_file(lua_State *L, int status, const char *path, opened_for purpose) {
  if (purpose == FOR_OPEN || purpose == FOR_TMPFILE) return gl_stdio_fail(L, status, purpose == FOR_OPEN ? path : NULL);
  return luaL_error(L, "cannot open file '%s' (%s)", path, strerror(-status));
}

/* The stream lies on top of the stack, above the arguments of the call. */
static int deliver(lua_State *L, opened_for purpose) {
  if (purpose == FOR_INPUT || purpose == FOR_OUTPUT) {
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, purpose == FOR_INPUT ? GL_INPUT : GL_OUTPUT);
  }
  if (purpose != FOR_LINES) return 1;
  lua_replace(L, 1);
  gl_stdio_push_lines(L, true);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 1);
  return 4;
}

/* Opens the stream `s`, on top of the stack, over *fd, which it takes over: *fd is closed when memory is out. */
static int open_stream(lua_State *L, gl_stdio *s, gl_files *fs, int *fd, const char *mode, opened_for purpose) {
  gl_file *f = gl_file_new(fs, *fd, NULL, mode, true);
  if (!f) close(*fd);
  *fd = -1;
  if (!f) return luaL_error(L, "not enough memory");
  gl_stdio_open(s, f, NULL);
  if (*mode == 'a' && mode[1] != '+') lseek(f->d.fd, 0, SEEK_END);
  return deliver(L, purpose);
}

/* ---- on the pool ---- */

static int open_temporary(void) {
  int fd = open("/tmp", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  char name[] = "/tmp/lua_XXXXXX";
  fd = mkostemp(name, O_CLOEXEC);
  if (fd >= 0) unlink(name);
  return fd;
}

static int open_path(const char *path, int flags) {
  int fd;
  do fd = flags ? open(path, flags, 0666) : open_temporary();
  while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

static void run_open(gl_work *w) {
  open_op *o = (open_op *)w;
  o->fd = open_path(o->path, o->flags);
  o->work.result = o->fd < 0 ? o->fd : 0;
}

/* ---- the op ---- */

static bool lacks_reader(const open_op *o, int status) {
  struct stat st;
  return status == -ENXIO && stat(o->path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static void on_retry(gl_timer *timer) { gl_work_start(&GL_CONTAINER(timer, open_op, retry)->work); }

static void after_open(gl_work *w, int status) {
  open_op *o = (open_op *)w;
  if (!o->cancelled && lacks_reader(o, status) && gl_timer_arm(&w->op.host->clock, &o->retry, o->pause)) {
    if (o->pause < RETRY_MAX) o->pause *= 2;
    return;
  }
  gl_op_done(&w->op, status);
}

static int push_open(lua_State *L, gl_op *op) {
  open_op *o = (open_op *)op;
  if (op->status < 0) return no_file(L, op->status, o->path, (opened_for)o->purpose);
  return open_stream(L, gl_stdio_new(L), o->files, &o->fd, o->mode, (opened_for)o->purpose);
}

static void cancel_open(gl_op *op) {
  open_op *o = (open_op *)op;
  o->cancelled = true;
  if (!gl_timer_is_armed(&op->host->clock, &o->retry)) {
    gl_work_cancel(op);
    return;
  }
  gl_timer_drop(&op->host->clock, &o->retry);
  gl_op_done(op, UV_ECANCELED);
}

static void free_open(gl_op *op) {
  open_op *o = (open_op *)op;
  if (o->fd >= 0) close(o->fd);
}

static void object_open(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const open_op *)op)->path); }

static const gl_optype open_type = {"io.open", push_open, cancel_open, free_open, object_open};

/* ---- start ---- */

/* To create a file may take the disk's time. */
static int open_cached(const char *path, int flags) {
  return !flags || (flags & O_CREAT) ? UV_EAGAIN : gl_open_cached(path, flags);
}

static int start_open(lua_State *L, const char *path, const char *mode, int flags, opened_for purpose) {
  gl_files *fs = lua_touserdata(L, lua_upvalueindex(1));
  gl_stdio *s = gl_stdio_new(L); /* first: nothing may raise once it is open */
  int fd = gl_may_wait(L) ? open_cached(path, flags) : open_path(path, flags);
  if (fd >= 0) return open_stream(L, s, fs, &fd, mode, purpose);
  lua_pop(L, 1);
  size_t n = strlen(path) + 1;
  if (n > PATH_MAX) fd = UV_ENAMETOOLONG;
  if (fd != UV_EAGAIN || !gl_may_wait(L)) return no_file(L, fd, path, purpose);
  open_op *o = gl_op_new(L, &open_type, sizeof *o + n, 0);
  memcpy(o->path, path, n);
  memcpy(o->mode, mode, sizeof o->mode);
  o->files = fs;
  o->fd = -1;
  o->flags = flags;
  o->purpose = (uint8_t)purpose;
  o->pause = RETRY;
  o->retry.fire = on_retry;
  o->work.run = run_open;
  o->work.after = after_open;
  return gl_work_await(L, &o->work, GL_FOREVER);
}

static int start_mode(lua_State *L, const char *path, const char *mode, opened_for purpose) {
  char brief[4] = "";
  short_mode(brief, mode);
  return start_open(L, path, brief, flags_of(mode), purpose);
}

int gl_stdio_open_lines(lua_State *L, const char *name) { return start_mode(L, name, "r", FOR_LINES); }

static int io_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, is_mode(mode), 2, "invalid mode");
  return start_mode(L, path, mode, FOR_OPEN);
}

static int io_tmpfile(lua_State *L) { return start_open(L, "", "w+\0", 0, FOR_TMPFILE); }

static int set_default(lua_State *L, const char *where, const char *mode, opened_for purpose) {
  if (!lua_isnoneornil(L, 1)) {
    const char *name = lua_tostring(L, 1);
    if (name) return start_mode(L, name, mode, purpose);
    luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    if (!p->closef) return luaL_error(L, "attempt to use a closed file");
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, where);
  }
  lua_getfield(L, LUA_REGISTRYINDEX, where);
  return 1;
}

static int io_input(lua_State *L) { return set_default(L, GL_INPUT, "r", FOR_INPUT); }
static int io_output(lua_State *L) { return set_default(L, GL_OUTPUT, "w", FOR_OUTPUT); }

void gl_stdio_install_open(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"input", io_input}, {"open", io_open}, {"output", io_output}, {"tmpfile", io_tmpfile}, {NULL, NULL},
  };
  gl_io_replace(L, functions, NULL, NULL);
}
