/* SPDX-License-Identifier: MIT */
#include "curl/curl_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/library.h"

#define IDLE_MAX 256L      /* connections kept open without a request */
#define PER_HOST_MAX 1024L /* more requests to one host wait for a connection. Generous: an app that calls itself
                              needs one for the outer and one for the inner request, or waits for itself */

/* A socket of curl's. Connections are opened and closed by us, so their watch lives exactly as long as the file
 * descriptor; others (the resolver's) are known only between their first POLL_* and POLL_REMOVE. */
typedef struct curl_socket {
  uv_poll_t poll;
  gl_curl *curl;
  int fd;
  int want;   /* events curl waits for; 0 = the connection is idle */
  int armed;  /* events the loop watches */
  bool owned; /* opened by on_open */
} curl_socket;

struct gl_curl {
  gl_host *host;
  uint32_t process;  /* the one that made it (gl_host.process) */
  CURLM *multi;
  gl_timer timer;    /* curl's next time-out */
  gl_turn_hook turn; /* the same, when that is now: all requests of one turn leave together */
  bool in_turn;      /* on_turn_end runs */
  gl_transfer *live; /* those that run */
  curl_socket **by_fd;
  int fds;           /* size of by_fd */
};

/* ---- transfers that ended ---- */

/* A handle serves once. Used again, libcurl 7.88 remembers the last header line of the response before, whose memory is gone by
 * then, and appends a line to it that begins with a blank, should a server begin its head with one. */
static void discard(gl_transfer *t) {
  curl_easy_cleanup(t->easy);
  t->easy = NULL;
}

static void forget(gl_transfer *t) {
  if (t->at) {
    curl_multi_remove_handle(t->curl->multi, t->easy);
    *t->at = t->next;
    if (t->next) t->next->at = t->at;
    t->at = NULL;
  }
  discard(t);
}

static void finish_ended(gl_curl *c) {
  int left;
  for (CURLMsg *msg; (msg = curl_multi_info_read(c->multi, &left)) != NULL;) {
    gl_transfer *t = NULL;
    CURLcode code = msg->data.result; /* msg dies with the handle's removal */
    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
    t->done(t, code);
    forget(t);
  }
}

/* ---- sockets ---- */

static curl_socket *find(gl_curl *c, int fd) { return fd < c->fds ? c->by_fd[fd] : NULL; }

static void on_event(uv_poll_t *poll, int status, int events);

static void arm(curl_socket *w) {
  w->armed = uv_poll_start(&w->poll, w->want, on_event) == 0 ? w->want : 0;
}

static void on_event(uv_poll_t *poll, int status, int events) {
  curl_socket *w = poll->data;
  gl_curl *c = w->curl;
  int fd = w->fd, running;
  if (status < 0) w->armed = 0; /* libuv stopped it: EPOLLERR */
  if (!w->want) {               /* an idle connection: closed by its peer, most likely; curl sees when it wants it */
    if (w->armed) uv_poll_stop(poll);
    w->armed = 0;
    return;
  }
  int what = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) what |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
  curl_multi_socket_action(c->multi, fd, what, &running);
  finish_ended(c);
  w = find(c, fd); /* curl may have closed it, and opened another of the same number */
  if (w && w->want && !w->armed) arm(w);
}

static bool grow(gl_curl *c, int fd) {
  if (fd < c->fds) return true;
  int n = c->fds ? c->fds : 64;
  while (n <= fd) n *= 2;
  curl_socket **table = realloc(c->by_fd, (size_t)n * sizeof *table);
  if (!table) return false;
  memset(table + c->fds, 0, (size_t)(n - c->fds) * sizeof *table);
  c->by_fd = table;
  c->fds = n;
  return true;
}

static curl_socket *add_socket(gl_curl *c, int fd, bool owned) {
  curl_socket *w = grow(c, fd) ? calloc(1, sizeof *w) : NULL;
  if (!w) return NULL;
  if (uv_poll_init(&c->host->loop, &w->poll, fd) != 0) {
    free(w);
    return NULL;
  }
  w->poll.data = w;
  w->curl = c;
  w->fd = fd;
  w->owned = owned;
  c->by_fd[fd] = w;
  return w;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

/* Before the descriptor is closed: its number may be in use again at once. */
static void drop_socket(curl_socket *w) {
  w->curl->by_fd[w->fd] = NULL;
  uv_close((uv_handle_t *)&w->poll, on_closed);
}

static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  if (add_socket(data, fd, true)) return fd;
  close(fd);
  return CURL_SOCKET_BAD;
}

static int on_close(void *data, curl_socket_t fd) {
  gl_curl *c = data;
  curl_socket *w = find(c, fd);
  if (w) drop_socket(w);
  return close(fd);
}

/* curl says what it waits for. A connection that goes idle is not disarmed: most are wanted again, for the same
 * events, before anything happens on them. */
static int on_want(CURL *easy, curl_socket_t fd, int what, void *data, void *unused) {
  (void)easy;
  (void)unused;
  gl_curl *c = data;
  curl_socket *w = find(c, fd);
  if (what == CURL_POLL_REMOVE) {
    if (!w) return 0;
    w->want = 0;
    if (!w->owned) drop_socket(w);
    return 0;
  }
  if (!w) w = add_socket(c, fd, false);
  if (!w) return -1;
  w->want = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  if (w->armed != w->want) arm(w);
  return 0;
}

/* ---- time ---- */

static void run_timeouts(gl_curl *c) {
  int running;
  curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  finish_ended(c);
}

static void on_timer(gl_timer *timer) { run_timeouts(GL_CONTAINER(timer, gl_curl, timer)); }

static void on_turn_end(gl_turn_hook *turn) {
  gl_curl *c = GL_CONTAINER(turn, gl_curl, turn);
  c->in_turn = true; /* what curl wants at once from here on waits for the loop, or the turn might never end */
  run_timeouts(c);
  c->in_turn = false;
}

static int on_timeout(CURLM *multi, long ms, void *data) {
  (void)multi;
  gl_curl *c = data;
  gl_timer_drop(&c->host->clock, &c->timer);
  if (ms < 0) return 0;
  if (ms == 0 && !c->in_turn) {
    gl_at_turn_end(c->host, &c->turn);
    return 0;
  }
  return gl_timer_arm(&c->host->clock, &c->timer, (double)ms / 1e3) ? 0 : -1;
}

/* ---- transfers ---- */

static void set_constants(gl_curl *c, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* cancelling does not wait for a resolver thread */
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "greenlua/" GREENLUA_VERSION);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
}

bool gl_curl_prepare(gl_curl *c, gl_transfer *t) {
  t->curl = c;
  t->easy = curl_easy_init();
  if (!t->easy) return false;
  set_constants(c, t->easy);
  curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
  return true;
}

bool gl_curl_start(gl_transfer *t) {
  gl_curl *c = t->curl;
  if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
    discard(t);
    return false;
  }
  t->at = &c->live;
  t->next = c->live;
  if (c->live) c->live->at = &t->next;
  c->live = t;
  return true;
}

/* Does the parent of this forked child use it? Its connections are left as they are here, not even closed. */
static bool is_foreign(const gl_curl *c) { return c->process != c->host->process; }

void gl_curl_stop(gl_transfer *t) {
  if (is_foreign(t->curl)) t->easy = NULL;
  else if (t->easy) forget(t);
}

void gl_curl_resume(gl_transfer *t) {
  if (t->easy && !is_foreign(t->curl)) curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

/* ---- one per host ---- */

/* With the Lua state: what is still running is dropped, its owner will find t->easy NULL. */
static int curl_gc(lua_State *L) {
  gl_curl *c = lua_touserdata(L, 1);
  if (!c->multi) return 0;
  while (c->live) forget(c->live);
  curl_multi_cleanup(c->multi); /* closes the connections, through on_close */
  gl_timer_drop(&c->host->clock, &c->timer);
  c->multi = NULL;
  free(c->by_fd);
  return 0;
}

static void open_multi(lua_State *L, gl_curl *c) {
  const char *error = gl_library_need("libcurl.so.4");
  if (error) gl_error_raise(L, "http", "ENOLIBRARY", "the HTTP client needs libcurl: %s", error);
  if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) c->multi = curl_multi_init();
  if (!c->multi) gl_error_raise(L, "http", "ENOMEM", "cannot initialize libcurl");
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_want);
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
  curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, PER_HOST_MAX);
}

static gl_curl *push_new(lua_State *L) {
  gl_curl *c = lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  c->host = gl_host_of(L);
  c->process = c->host->process;
  c->timer.fire = on_timer;
  c->turn.run = on_turn_end;
  gl_class_finalizer(L, curl_gc);
  open_multi(L, c);
  return c;
}

gl_curl *gl_curl_of(lua_State *L) {
  static const char key;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  gl_curl *c = lua_touserdata(L, -1);
  if (!c || is_foreign(c)) {
    gl_curl *old = c;
    c = push_new(L);
    if (old) {
      lua_pushvalue(L, -2);
      luaL_ref(L, LUA_REGISTRYINDEX); /* for good: its finalizer would say goodbye to the parent's servers */
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_pop(L, 1);
  return c;
}
