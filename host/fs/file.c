/* SPDX-License-Identifier: MIT
 *
 * Open files. The handle and the operations under way own references to a file; the last of them closes the descriptor, so that its
 * number is never used again under a read that was cancelled. Operations that move the position run one after the other, in the
 * order they were asked for, so that tasks may share a file; a read that was cancelled has taken nothing.
 *
 *     (new) --- submit: the file is not busy; begin ----------> RUNNING (busy)
 *     (new) --- submit: the file is busy; enqueue ------------> QUEUED (in `waiting`)
 *     QUEUED -- begin_next: the one before it is through -----> RUNNING
 *     QUEUED -- cancel_op -------------------------------------> done: ECANCELED
 *     RUNNING - after_read, after_write, after_end ------------> done; the position moves, unless a read was cancelled
 */
#include "fs/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/check.h"
#include "core/class.h"
#include "core/memory.h"
#include "core/open_file.h"
#include "core/opqueue.h"
#include "fs/cleanup.h"

#define CHUNK (64 * 1024)

typedef struct fs_file {
  gl_open_file shared;    /* references: of the handle, of operations, and of those who send the file */
  gl_fs_cleanup *cleanup; /* the descriptor, the path, and what happens to that; NULL = closed */
  bool seekable;       /* has a position, which is kept here and not by the kernel */
  bool append;         /* writes go to the end, wherever the position is */
  bool busy;           /* an operation that moves the position is under way */
  int64_t position;
  gl_opqueue waiting;  /* operations that are QUEUED */
} fs_file;

typedef struct file_op {
  gl_work work;
  fs_file *file;     /* one reference is the op's */
  atomic_bool stop;
  bool queued;       /* QUEUED */
  int64_t offset;    /* where to read or write; -1 = where the descriptor stands */
  size_t n;          /* bytes wanted, or to write */
  size_t len;        /* bytes read or written */
  char *data;        /* bytes that were read */
  const char *bytes; /* to be written; in the pinned string */
  int64_t end;       /* of a seek or write: the position after it */
} file_op;

static file_op *op_of(gl_work *w) { return (file_op *)w; }

/* ---- on a pool thread ---- */

static void run_read(gl_work *w) {
  file_op *o = op_of(w);
  int fd = o->file->cleanup->fd;
  while (o->len < o->n && !w->result) {
    size_t step = o->n - o->len < GL_FS_STEP ? o->n - o->len : GL_FS_STEP;
    char *to = o->data + o->len;
    ssize_t got = o->offset < 0 ? read(fd, to, step) : pread(fd, to, step, o->offset + (int64_t)o->len);
    if (got == 0) return;
    if (got > 0) o->len += (size_t)got;
    else if (errno != EINTR) w->result = gl_fs_errno();
    if (atomic_load(&o->stop)) w->result = UV_ECANCELED;
  }
}

static void run_write(gl_work *w) {
  file_op *o = op_of(w);
  int fd = o->file->cleanup->fd;
  int64_t offset = o->file->append ? -1 : o->offset;
  w->result = gl_fs_write_all(fd, o->bytes, o->n, offset, &o->stop, &o->len);
  o->end = o->file->append ? (int64_t)lseek(fd, 0, SEEK_CUR) : o->offset + (int64_t)o->len;
}

static void run_end(gl_work *w) {
  struct stat st;
  int rc = fstat(op_of(w)->file->cleanup->fd, &st);
  w->result = rc == 0 ? 0 : gl_fs_errno();
  if (rc == 0) op_of(w)->end += (int64_t)st.st_size;
  if (op_of(w)->end < 0) w->result = UV_EINVAL;
}

static void run_sync(gl_work *w) { w->result = fsync(op_of(w)->file->cleanup->fd) == 0 ? 0 : gl_fs_errno(); }

/* ---- one after the other ---- */

static void file_release(gl_open_file *shared) {
  fs_file *f = GL_CONTAINER(shared, fs_file, shared);
  if (f->cleanup) gl_fs_cleanup_sweep(f->cleanup);
  free(f);
}

static void begin(file_op *o) {
  o->queued = false;
  o->file->busy = true;
  if (o->file->seekable) o->offset += o->file->position; /* a seek to the end ignores it */
  gl_work_start(&o->work);
}

static void enqueue(fs_file *f, file_op *o) {
  o->queued = true;
  gl_opqueue_push(&f->waiting, &o->work.op);
}

static void begin_next(fs_file *f) {
  gl_op *op = gl_opqueue_take(&f->waiting);
  f->busy = false;
  if (op) begin((file_op *)op);
}

static void after_read(gl_work *w, int status) {
  fs_file *f = op_of(w)->file;
  if (!w->op.detached && status == 0) f->position += (int64_t)op_of(w)->len;
  begin_next(f);
  gl_op_done(&w->op, status);
}

static void after_write(gl_work *w, int status) {
  fs_file *f = op_of(w)->file;
  if (op_of(w)->len > 0) f->position = op_of(w)->end;
  begin_next(f);
  gl_op_done(&w->op, status);
}

static void after_end(gl_work *w, int status) {
  file_op *o = op_of(w);
  if (!status && !w->op.detached) o->file->position = o->end;
  begin_next(o->file);
  gl_op_done(&w->op, status);
}

static void cancel_op(gl_op *op) {
  file_op *o = (file_op *)op;
  atomic_store(&o->stop, true);
  if (o->queued) gl_opqueue_cancel(&o->file->waiting, op);
  else gl_work_cancel(op);
}

static void free_op(gl_op *op) {
  file_op *o = (file_op *)op;
  if (o->data) gl_memory_resize(o->data, o->n, 0);
  gl_open_file_unref(&o->file->shared);
}

/* ---- what they answer ---- */

static int fail(lua_State *L, gl_op *op) {
  return gl_error_status(L, op->type->name, op->status, ((file_op *)op)->file->cleanup->path);
}

static int push_read(lua_State *L, gl_op *op) {
  file_op *o = (file_op *)op;
  if (op->status < 0) return fail(L, op);
  if (o->len) lua_pushlstring(L, o->data, o->len);
  else lua_pushnil(L);
  return 1;
}

static int push_write(lua_State *L, gl_op *op) { return op->status < 0 ? fail(L, op) : 0; }

static int push_end(lua_State *L, gl_op *op) {
  if (op->status < 0) return fail(L, op);
  lua_pushinteger(L, (lua_Integer)((file_op *)op)->end);
  return 1;
}

static const gl_optype read_type = {"file.read", push_read, cancel_op, free_op};
static const gl_optype write_type = {"file.write", push_write, cancel_op, free_op};
static const gl_optype seek_type = {"file.seek", push_end, cancel_op, free_op};
static const gl_optype sync_type = {"file.sync", push_write, cancel_op, free_op};

/* ---- methods ---- */

static fs_file *check_file(lua_State *L, const char *op) {
  fs_file *f = *(fs_file **)gl_class_self(L, GL_OPEN_FILE);
  if (!f || !f->cleanup) gl_error_raise(L, op, "EBADF", "the file is closed");
  return f;
}

static file_op *new_op(lua_State *L, const gl_optype *type, fs_file *f, int pin_idx, void (*run)(gl_work *)) {
  file_op *o = gl_op_new(L, type, sizeof *o, pin_idx);
  o->work.run = run;
  o->file = f;
  gl_open_file_ref(&f->shared);
  return o;
}

/* Runs the operation in its turn, and waits. */
static int submit(lua_State *L, file_op *o, void (*after)(gl_work *, int)) {
  o->work.after = after;
  if (o->file->busy) enqueue(o->file, o);
  else begin(o);
  return gl_await(L, &o->work.op, GL_FOREVER);
}

static bool make_room(file_op *o, size_t n) {
  o->n = n;
  o->data = gl_memory_resize(NULL, 0, n);
  if (!o->data) gl_op_done(&o->work.op, UV_ENOMEM);
  return o->data != NULL;
}

static size_t check_count(lua_State *L, int idx) {
  lua_Integer n = luaL_optinteger(L, idx, CHUNK);
  luaL_argcheck(L, n > 0 && n <= GL_FS_MAX, idx, "1 to 67108864 bytes expected");
  return (size_t)n;
}

static int file_read(lua_State *L) {
  size_t n = check_count(L, 2);
  fs_file *f = check_file(L, "file.read");
  file_op *o = new_op(L, &read_type, f, 0, run_read);
  if (!make_room(o, n)) return gl_await(L, &o->work.op, GL_FOREVER);
  o->offset = f->seekable ? 0 : -1;
  return submit(L, o, after_read);
}

static int file_read_at(lua_State *L) {
  gl_class_self(L, GL_OPEN_FILE);
  lua_Integer offset = luaL_checkinteger(L, 2);
  size_t n = check_count(L, 3);
  luaL_argcheck(L, offset >= 0, 2, "an offset >= 0 expected");
  fs_file *f = check_file(L, "file.read");
  file_op *o = new_op(L, &read_type, f, 0, run_read);
  o->offset = offset;
  if (!make_room(o, n)) return gl_await(L, &o->work.op, GL_FOREVER);
  return gl_work_await(L, &o->work, GL_FOREVER);
}

static int file_write(lua_State *L) {
  size_t n;
  gl_class_self(L, GL_OPEN_FILE);
  const char *bytes = luaL_checklstring(L, 2, &n);
  fs_file *f = check_file(L, "file.write");
  file_op *o = new_op(L, &write_type, f, 2, run_write);
  o->bytes = bytes;
  o->n = n;
  o->offset = f->seekable ? 0 : -1;
  return submit(L, o, after_write);
}

static int file_seek(lua_State *L) {
  static const char *const names[] = {"set", "cur", "end", NULL};
  int whence = luaL_checkoption(L, 2, "cur", names);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  fs_file *f = check_file(L, "file.seek");
  if (!f->seekable) return gl_error_status(L, "file.seek", UV_ESPIPE, f->cleanup->path);
  if (whence == 2) {
    file_op *o = new_op(L, &seek_type, f, 0, run_end);
    o->end = offset;
    return submit(L, o, after_end);
  }
  int64_t to = whence == 1 ? f->position + offset : offset;
  if (to < 0) return gl_error_status(L, "file.seek", UV_EINVAL, f->cleanup->path);
  f->position = to;
  lua_pushinteger(L, (lua_Integer)to);
  return 1;
}

static int file_sync(lua_State *L) {
  file_op *o = new_op(L, &sync_type, check_file(L, "file.sync"), 0, run_sync);
  return gl_work_await(L, &o->work, GL_FOREVER);
}

/* While operations are under way, the last of them closes the file; else the task waits for the close, if that may take a while. */
static int file_close(lua_State *L) {
  fs_file **handle = gl_class_self(L, GL_OPEN_FILE);
  fs_file *f = *handle;
  if (!f || !f->cleanup) return 0;
  if (f->shared.refs == 1) {
    f->shared.fd = -1;
    return gl_fs_cleanup_close(L, &f->cleanup);
  }
  *handle = NULL;
  gl_open_file_unref(&f->shared);
  return 0;
}

static int file_gc(lua_State *L) {
  fs_file **handle = gl_class_self(L, GL_OPEN_FILE);
  if (*handle) gl_open_file_unref(&(*handle)->shared);
  *handle = NULL;
  return 0;
}

static int file_tostring(lua_State *L) {
  fs_file *f = *(fs_file **)gl_class_self(L, GL_OPEN_FILE);
  if (f && f->cleanup) lua_pushfstring(L, "file (%s)", f->cleanup->path);
  else lua_pushliteral(L, "file (closed)");
  return 1;
}

/* The upvalue has the methods; `path` is a field. */
static int file_index(lua_State *L) {
  gl_class_self(L, GL_OPEN_FILE);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "path") == 0) lua_getiuservalue(L, 1, 1);
  return 1;
}

void gl_fs_push_file(lua_State *L, gl_fs_job *j) {
  fs_file **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, GL_OPEN_FILE);
  lua_pushstring(L, j->cleanup->path);
  lua_setiuservalue(L, -2, 1);
  fs_file *f = calloc(1, sizeof *f);
  if (!f) luaL_error(L, "not enough memory for a file");
  f->cleanup = j->cleanup;
  f->shared = (gl_open_file){.fd = j->cleanup->fd, .refs = 1, .release = file_release};
  f->seekable = S_ISREG(j->st.st_mode) || S_ISBLK(j->st.st_mode);
  f->append = j->flags & O_APPEND;
  j->cleanup = NULL;
  *handle = f;
}

void gl_fs_open_handles(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"read", file_read}, {"read_at", file_read_at}, {"write", file_write}, {"seek", file_seek},
    {"sync", file_sync}, {"close", file_close},     {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
    {"__gc", file_gc}, {"__close", file_close}, {"__index", file_index}, {"__tostring", file_tostring}, {NULL, NULL},
  };
  gl_class_new(L, GL_OPEN_FILE, methods, meta);
}
