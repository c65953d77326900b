/* SPDX-License-Identifier: MIT
 *
 * The editor (lualib/green/repl/editor.lua) makes a picture of the prompt, and with it the bytes that erase it again. Both are kept
 * here, so that they are at hand when a loop callback or a finalizer prints.
 *
 *     HIDDEN --- terminal_show ------------------------------------> SHOWN
 *     SHOWN ---- terminal_show: the old picture is erased ---------> SHOWN
 *     SHOWN ---- hide_prompt: somebody prints; the picture is erased ----> AWAY (come_back is queued for the end of the turn)
 *     AWAY ----- come_back: on a line of its own ------------------> SHOWN
 *     AWAY ----- terminal_hide: the picture is forgotten ----------> HIDDEN
 *     SHOWN ---- terminal_hide: erased ----------------------------> HIDDEN
 *     any ------ terminal_close: the picture is forgotten, not erased
 *
 * Invariants: SHOWN is `shown`; AWAY is not `shown` and `picture` is not empty. While a terminal is open, it is the host's only
 * one, and the person's modes are given back on every way out of the process (restore).
 */
#include "sys/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/cancel.h"
#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "core/prompt.h"
#include "core/task.h"

#define TERMINAL "green.terminal"
#define READ "terminal:read"
#define STUCK 200 /* ms a terminal may take for a picture; then it does without */

typedef struct read_op read_op;

typedef struct terminal {
  uv_poll_t poll;
  gl_prompt prompt;
  gl_turn_hook turn;
  gl_host *host;
  read_op *reader;
  gl_buf picture, eraser; /* of what is shown, or will be */
  int fd;                 /* a description of our own, with O_NONBLOCK; -1 = closed */
  bool shown;
  bool raw;
  bool mid_line;          /* what was printed last did not end its line */
} terminal;

struct read_op {
  gl_op op;
  terminal *t;
  ssize_t len;
  char bytes[4096];
};

/* ---- modes; the person's are given back on every way out of the process ---- */

static struct termios cooked;
static volatile sig_atomic_t is_raw;

static void restore(void) {
  if (!is_raw) return;
  is_raw = 0;
  if (write(STDOUT_FILENO, "\033[?2004l", 8) < 0) return;
  tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

static void set_raw(terminal *t, bool raw) {
  struct termios mode;
  if (raw == t->raw || tcgetattr(t->fd, &mode) != 0) return;
  if (raw) {
    cooked = mode;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    mode.c_iflag &= ~(tcflag_t)(IXON | INLCR | IGNCR | ISTRIP);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
  } else {
    mode = cooked;
  }
  t->raw = raw;
  is_raw = raw;
  tcsetattr(t->fd, TCSANOW, &mode);
}

/* ---- the picture ---- */

static void put(const terminal *t, const char *bytes, size_t n) {
  while (n) {
    ssize_t put = write(t->fd, bytes, n);
    struct pollfd p = {.fd = t->fd, .events = POLLOUT};
    if (put > 0) bytes += put, n -= (size_t)put;
    else if (put == 0 || (errno != EINTR && errno != EAGAIN) || poll(&p, 1, STUCK) <= 0) return;
  }
}

static void put_buf(const terminal *t, const gl_buf *b) {
  if (b->len) put(t, gl_buf_at(b), b->len);
}

static void hide_prompt(gl_prompt *p, bool ends_line) {
  terminal *t = GL_CONTAINER(p, terminal, prompt);
  t->mid_line = !ends_line;
  if (!t->shown) return;
  put_buf(t, &t->eraser);
  t->shown = false;
  gl_at_turn_end(t->host, &t->turn);
}

static void come_back(gl_turn_hook *turn) {
  terminal *t = GL_CONTAINER(turn, terminal, turn);
  if (t->fd < 0 || t->shown || !t->picture.len) return;
  if (t->mid_line) put(t, "\r\n", 2);
  put_buf(t, &t->picture);
  t->shown = true;
}

static void keep(gl_buf *b, const char *bytes, size_t n) {
  gl_buf_eat(b, b->len);
  gl_buf_add(b, bytes, n);
}

static terminal *check_terminal(lua_State *L) {
  terminal *t = *(terminal **)luaL_checkudata(L, 1, TERMINAL);
  luaL_argcheck(L, t != NULL, 1, "the terminal is closed");
  return t;
}

/* terminal:show(picture, eraser [, erase_now]): in place of what is shown, which `erase_now` erases should it have changed
 * its shape. Begins and ends in the first column of a line. */
static int terminal_show(lua_State *L) {
  size_t npicture, neraser, nnow;
  check_terminal(L);
  const char *picture = luaL_checklstring(L, 2, &npicture), *eraser = luaL_checklstring(L, 3, &neraser);
  const char *now = luaL_optlstring(L, 4, NULL, &nnow);
  terminal *t = check_terminal(L); /* again: to make a string of a number may run finalizers */
  if (t->shown && now) put(t, now, nnow);
  else if (t->shown) put_buf(t, &t->eraser);
  else if (t->mid_line) put(t, "\r\n", 2);
  t->mid_line = false;
  keep(&t->picture, picture, npicture);
  keep(&t->eraser, eraser, neraser);
  put_buf(t, &t->picture);
  t->shown = true;
  return 0;
}

/* terminal:hide() */
static int terminal_hide(lua_State *L) {
  terminal *t = check_terminal(L);
  if (t->shown) put_buf(t, &t->eraser);
  t->shown = false;
  gl_buf_eat(&t->picture, t->picture.len);
  return 0;
}

/* terminal:write(text): past everything, while nothing is shown */
static int terminal_write(lua_State *L) {
  size_t n;
  check_terminal(L);
  const char *text = luaL_checklstring(L, 2, &n);
  terminal *t = check_terminal(L);
  put(t, text, n);
  return 0;
}

/* ---- reading keys ---- */

static void settle_read(read_op *r, int status) {
  uv_poll_stop(&r->t->poll);
  r->t->reader = NULL;
  gl_op_done(&r->op, status);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  read_op *r = ((terminal *)poll->data)->reader;
  r->len = read(r->t->fd, r->bytes, sizeof r->bytes);
  if (r->len < 0 && (errno == EAGAIN || errno == EINTR)) return;
  settle_read(r, 0);
}

static int push_read(lua_State *L, gl_op *op) {
  read_op *r = (read_op *)op;
  if (op->status < 0) return gl_error_status(L, READ, op->status, NULL);
  if (r->len <= 0) lua_pushnil(L); /* an error means that the terminal is gone */
  else lua_pushlstring(L, r->bytes, (size_t)r->len);
  return 1;
}

static void cancel_read(gl_op *op) { settle_read((read_op *)op, UV_ECANCELED); }

static const gl_optype read_type = {READ, push_read, cancel_read, NULL, NULL};

/* terminal:read([timeout]) -> bytes, or nil when the terminal is gone. Waits. */
static int terminal_read(lua_State *L) {
  terminal *t = check_terminal(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  luaL_argcheck(L, !t->reader, 1, "another task reads it");
  read_op *r = gl_op_new(L, &read_type, sizeof *r, 0);
  r->t = t;
  t->reader = r;
  int err = uv_poll_start(&t->poll, UV_READABLE, on_readable);
  if (err) settle_read(r, err);
  return gl_await(L, &r->op, timeout);
}

/* ---- the rest of it ---- */

static int terminal_raw(lua_State *L) {
  terminal *t = check_terminal(L);
  set_raw(t, lua_toboolean(L, 2));
  return 0;
}

/* terminal:size() -> columns, rows */
static int terminal_size(lua_State *L) {
  struct winsize size;
  terminal *t = check_terminal(L);
  bool known = ioctl(t->fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;
  lua_pushinteger(L, known ? size.ws_col : 80);
  lua_pushinteger(L, known ? size.ws_row : 24);
  return 2;
}

/* terminal:suspend(): Ctrl-Z; returns when the shell says go on */
static int terminal_suspend(lua_State *L) {
  (void)check_terminal(L);
  kill(0, SIGTSTP);
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  terminal *t = handle->data;
  close(t->fd);
  gl_buf_free(&t->picture);
  gl_buf_free(&t->eraser);
  free(t);
}

static int terminal_close(lua_State *L) {
  terminal **at = luaL_checkudata(L, 1, TERMINAL), *t = *at;
  if (!t) return 0;
  *at = NULL;
  set_raw(t, false);
  if (t->host->prompt == &t->prompt) t->host->prompt = NULL;
  gl_buf_eat(&t->picture, t->picture.len); /* a turn that is queued has nothing to show */
  if (t->reader) cancel_read(&t->reader->op);
  t->host->census.handles--;
  uv_close((uv_handle_t *)&t->poll, on_closed);
  return 0;
}

/* A description of our own: its flags are nobody else's. NULL: out of memory or descriptors. */
static terminal *terminal_new(gl_host *h) {
  terminal *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->fd = open("/proc/self/fd/0", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (t->fd < 0 || uv_poll_init(&h->loop, &t->poll, t->fd) != 0) {
    if (t->fd >= 0) close(t->fd);
    free(t);
    return NULL;
  }
  t->poll.data = t;
  t->host = h;
  t->prompt.hide = hide_prompt;
  t->turn.run = come_back;
  h->census.handles++;
  h->prompt = &t->prompt;
  return t;
}

/* open() -> a terminal, or nil: stdin and stdout are not both one */
static int terminal_open(lua_State *L) {
  static bool registered;
  gl_host *h = gl_host_of(L);
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || h->prompt) return 0;
  terminal **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = NULL;
  luaL_setmetatable(L, TERMINAL);
  if (!registered) registered = atexit(restore) == 0;
  *at = terminal_new(h);
  return *at ? 1 : 0;
}

/* ---- lines ---- */

/* begin_line() -> id: what the running task starts from now on comes from a line of a prompt */
static int begin_line(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (!t) return luaL_error(L, "outside of a task");
  t->line = t->id;
  lua_pushinteger(L, (lua_Integer)t->id);
  return 1;
}

/* interrupt_line(id) */
static int interrupt_line(lua_State *L) {
  gl_task_interrupt_line(gl_host_of(L), (uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

/* pid() -> of this process */
static int process_id(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* user() -> id of the user whose rights this process has */
static int process_user(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)geteuid());
  return 1;
}

int luaopen_green_repl(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"close", terminal_close}, {"hide", terminal_hide}, {"raw", terminal_raw}, {"read", terminal_read}, {"show", terminal_show},
    {"size", terminal_size}, {"suspend", terminal_suspend}, {"write", terminal_write}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", terminal_close}, {"__close", terminal_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"begin_line", begin_line}, {"interrupt_line", interrupt_line}, {"open", terminal_open}, {"pid", process_id},
    {"user", process_user}, {NULL, NULL}};
  gl_class_new(L, TERMINAL, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
