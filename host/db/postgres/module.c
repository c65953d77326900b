/* SPDX-License-Identifier: MIT
 *
 * The functions and methods of green.db.postgres.native: a URL is read, a connection is opened, and statements run on it.
 */
#include "db/postgres/module.h"

#include <stdlib.h>
#include <string.h>

#include "core/class.h"
#include "core/error.h"
#include "core/library.h"
#include "db/blob.h"
#include "db/postgres/conn.h"
#include "db/postgres/copy.h"
#include "db/postgres/notes.h"
#include "db/sql.h"

#define CONNECTION "green.db.postgres.connection"
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz_0123456789"
#define MODE_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ ,"
#define TIMEOUT 30.0                  /* seconds a statement may take, unless the caller says otherwise */
#define CLEAN_UP 5.0                  /* the same, for what puts a connection right */
#define MAX_RESULT ((size_t)64 << 20) /* bytes of rows one query may gather */

static gl_pg_conn *check_conn(lua_State *L) {
  gl_pg_conn **at = gl_class_self(L, CONNECTION);
  luaL_argcheck(L, *at, 1, "the connection was collected"); /* another finalizer may use the handle after conn_gc */
  return *at;
}

/* ---- the parameters of a URL ---- */

static int fill(lua_State *L) { /* table options -> table: those that have a value */
  for (const PQconninfoOption *o = lua_touserdata(L, 2); o->keyword; o++) {
    if (!o->val || lua_getfield(L, 1, o->keyword) != LUA_TNIL) continue;
    lua_pushstring(L, o->val);
    lua_setfield(L, 1, o->keyword);
    lua_settop(L, 2);
  }
  return 0;
}

/* Adds to the table at 2 what `options` say that it has not yet, and frees them. */
static void add_options(lua_State *L, PQconninfoOption *options) {
  lua_pushcfunction(L, fill);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, options);
  int failed = lua_pcall(L, 2, 0, 0);
  PQconninfoFree(options);
  if (failed) lua_error(L);
}

/* parameters(url) -> { keyword = value }: of the URL, of the environment (PG*), and libpq's own defaults; or nil, why not */
static int postgres_parameters(lua_State *L) {
  const char *url = luaL_checkstring(L, 1);
  char *why = NULL;
  lua_settop(L, 1);
  lua_newtable(L);
  PQconninfoOption *options = PQconninfoParse(url, &why);
  if (!options) {
    char text[300];
    snprintf(text, sizeof text, "%s", why ? why : "not enough memory");
    PQfreemem(why);
    text[strcspn(text, "\n")] = '\0';
    lua_pushnil(L);
    lua_pushstring(L, text);
    return 2;
  }
  add_options(L, options);
  options = PQconndefaults();
  if (!options) return luaL_error(L, "the defaults of libpq cannot be read (PGSERVICE?)");
  add_options(L, options);
  return 1;
}

/* ---- results ---- */

static int push_failure(lua_State *L, const gl_pg_op *s, const char *sql) {
  if (s->op.status < 0) return gl_error_status(L, s->op.type->name, s->op.status, NULL);
  return gl_pg_fault_raise(L, s->op.type->name, &s->fault, sql);
}

static bool has_failed(const gl_pg_op *s) { return s->op.status < 0 || *s->fault.code; }

static int push_plain(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  return has_failed(s) ? push_failure(L, s, NULL) : 0;
}

static int push_open(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, NULL);
  gl_pg_conn **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = s->conn;
  s->conn->refs++;
  luaL_setmetatable(L, CONNECTION);
  return 1;
}

static int push_query(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, s->call->sql);
  gl_pg_rows_push(L, &s->rows);
  gl_sql_set_result(L, gl_buf_at(&s->rows.names), s->rows.ncols, s->affected, NULL);
  return 1;
}

static int push_exec(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, s->script ? s->from : s->call->sql);
  lua_pushinteger(L, s->affected);
  return 1;
}

static int push_copy(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, s->script->sql);
  lua_pushstring(L, s->copied.way == GL_PG_COPY_OUT ? "out" : "in");
  return 1;
}

/* -> rows, are these the last ones? */
static int push_copied(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, NULL);
  size_t count = s->copied.sizes.len / sizeof(size_t);
  const size_t *sizes = (void *)gl_buf_at(&s->copied.sizes);
  const char *row = gl_buf_at(&s->copied.bytes);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, row, sizes[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
    row += sizes[i];
  }
  lua_pushboolean(L, s->copied.over);
  return 2;
}

static int push_affected(lua_State *L, gl_op *op) {
  const gl_pg_op *s = (gl_pg_op *)op;
  if (has_failed(s)) return push_failure(L, s, NULL);
  lua_pushinteger(L, s->affected);
  return 1;
}

static void object_call(const gl_op *op, char *out, size_t size) {
  const gl_pg_op *s = (const gl_pg_op *)op;
  const gl_pg_call *call = s->call ? s->call : s->script;
  if (call) gl_sql_object(call->sql, out, size);
}

static const gl_optype open_type = {"db.connect", push_open, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype query_type = {"db.query", push_query, gl_pg_op_cancel, gl_pg_op_free, object_call};
static const gl_optype exec_type = {"db.exec", push_exec, gl_pg_op_cancel, gl_pg_op_free, object_call};
static const gl_optype begin_type = {"db.begin", push_plain, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype commit_type = {"db.commit", push_plain, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype rollback_type = {"db.rollback", push_plain, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype reset_type = {"db.reset", push_plain, gl_pg_op_cancel, gl_pg_op_free};

static const gl_optype copy_type = {"db.copy", push_copy, gl_pg_op_cancel, gl_pg_op_free, object_call};
static const gl_optype copy_read_type = {"db.copy_out", push_copied, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype copy_write_type = {"db.copy_in", push_plain, gl_pg_op_cancel, gl_pg_op_free};
static const gl_optype copy_end_type = {"db.copy_end", push_affected, gl_pg_op_cancel, gl_pg_op_free};

static int no_memory(lua_State *L, gl_pg_op *s) {
  gl_op_done(&s->op, UV_ENOMEM);
  return gl_await(L, &s->op, GL_FOREVER);
}

/* ---- open ---- */

/* open(parameters, init_sql, unnamed, timeout) -> a connection. `parameters`: "keyword\0value\0" for each. */
static int postgres_open(lua_State *L) {
  size_t len;
  const char *params = luaL_checklstring(L, 1, &len), *init_sql = luaL_optstring(L, 2, NULL);
  bool unnamed = lua_toboolean(L, 3);
  double timeout = gl_check_timeout(L, 4, TIMEOUT);
  gl_pg_op *s = gl_op_new(L, &open_type, sizeof *s, 0);
  gl_pg_conn *c = gl_pg_conn_new(s->op.host, init_sql, unnamed);
  if (!c) return no_memory(L, s);
  s->conn = c;
  s->purpose = GL_PG_OPENS;
  s->list[0] = c->init_sql;
  s->params = malloc(len + 1);
  if (!s->params) return no_memory(L, s); /* whose end is that of the connection */
  memcpy(s->params, params, len + 1);
  c->refs--; /* gl_pg_conn_await takes the op's reference, the only one until push_open */
  return gl_pg_conn_await(L, s, c, timeout);
}

/* ---- query, exec ---- */

static int query_rows(lua_State *L, int max_rows) { /* conn timeout max_bytes sql parameters... */
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  lua_Integer max = luaL_optinteger(L, 3, (lua_Integer)MAX_RESULT);
  luaL_argcheck(L, max > 0, 3, "a number of bytes > 0 expected");
  size_t size = gl_pg_call_check(L, query_type.name, 4, 5);
  gl_pg_op *s = gl_op_new(L, &query_type, sizeof *s, 0);
  s->call = gl_pg_call_new(L, 4, 5, size);
  if (!s->call) return no_memory(L, s);
  s->max_bytes = (size_t)max;
  s->max_rows = max_rows;
  return gl_pg_conn_await(L, s, c, timeout);
}

static int conn_query(lua_State *L) { return query_rows(L, INT32_MAX); }
static int conn_first(lua_State *L) { return query_rows(L, 1); }

static int conn_exec(lua_State *L) { /* conn timeout sql parameters... */
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  size_t size = gl_pg_call_check(L, exec_type.name, 3, 4);
  gl_pg_op *s = gl_op_new(L, &exec_type, sizeof *s, 0);
  gl_pg_call *call = gl_pg_call_new(L, 3, 4, size);
  if (!call) return no_memory(L, s);
  if (call->n > 0) {
    s->call = call;
  } else {
    s->script = call;
    s->next = s->from = call->sql;
  }
  return gl_pg_conn_await(L, s, c, timeout);
}

/* ---- transactions, clean-up ---- */

static gl_pg_op *plain_new(lua_State *L, const gl_optype *type, gl_pg_purpose purpose) {
  gl_pg_op *s = gl_op_new(L, type, sizeof *s, 0);
  s->purpose = purpose;
  return s;
}

static int conn_begin(lua_State *L) { /* conn timeout [mode] */
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  size_t len;
  const char *mode = luaL_optlstring(L, 3, "", &len);
  luaL_argcheck(L, len < sizeof((gl_pg_op *)0)->text - sizeof "BEGIN " && strspn(mode, MODE_LETTERS) == len, 3, "the modes of a transaction expected");
  gl_pg_op *s = plain_new(L, &begin_type, GL_PG_BEGINS);
  snprintf(s->text, sizeof s->text, "BEGIN %s", mode);
  s->list[0] = s->text;
  return gl_pg_conn_await(L, s, c, timeout);
}

/* conn timeout: an op whose SQL is `sql`, or depends on the state of the connection (NULL) */
static int plain_await(lua_State *L, const gl_optype *type, gl_pg_purpose purpose, const char *sql, double patience) {
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, patience);
  if (purpose == GL_PG_ROLLS_BACK || purpose == GL_PG_RESETS) gl_pg_copy_give_up(c);
  gl_pg_op *s = plain_new(L, type, purpose);
  s->list[0] = sql;
  return gl_pg_conn_await(L, s, c, timeout);
}

static int conn_commit(lua_State *L) { return plain_await(L, &commit_type, GL_PG_COMMITS, "COMMIT", TIMEOUT); }
static int conn_rollback(lua_State *L) { return plain_await(L, &rollback_type, GL_PG_ROLLS_BACK, NULL, CLEAN_UP); }
static int conn_reset(lua_State *L) { return plain_await(L, &reset_type, GL_PG_RESETS, NULL, CLEAN_UP); }

static int conn_rollback_to(lua_State *L) { /* conn name timeout */
  gl_pg_conn *c = check_conn(L);
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len > 0 && len <= 20 && strspn(name, NAME_LETTERS) == len, 2, "the name of a savepoint expected");
  double timeout = gl_check_timeout(L, 3, CLEAN_UP);
  gl_pg_op *s = plain_new(L, &rollback_type, GL_PG_GOES_BACK);
  snprintf(s->text, sizeof s->text, "ROLLBACK TO %s; RELEASE %s", name, name);
  s->list[0] = s->text;
  return gl_pg_conn_await(L, s, c, timeout);
}

/* ---- COPY ---- */

/* copy(timeout, sql) -> "out" | "in": which way rows go from here on */
static int conn_copy(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  lua_settop(L, 3);
  size_t size = gl_pg_call_check(L, copy_type.name, 3, 4);
  gl_pg_op *s = gl_op_new(L, &copy_type, sizeof *s, 0);
  s->purpose = GL_PG_COPIES;
  s->script = gl_pg_call_new(L, 3, 4, size);
  if (!s->script) return no_memory(L, s);
  return gl_pg_conn_await(L, s, c, timeout);
}

/* copy_write(timeout, bytes) */
static int conn_copy_write(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  double timeout = gl_check_timeout(L, 2, TIMEOUT);
  size_t len;
  const char *data = luaL_checklstring(L, 3, &len);
  gl_pg_op *s = gl_op_new(L, &copy_write_type, sizeof *s, 3);
  s->purpose = GL_PG_COPY_WRITES;
  s->copied.data = data;
  s->copied.len = len;
  return gl_pg_conn_await(L, s, c, timeout);
}

/* copy_read(timeout) -> rows, are these the last ones?; copy_end(timeout) -> number of rows */
static int conn_copy_read(lua_State *L) { return plain_await(L, &copy_read_type, GL_PG_COPY_READS, NULL, TIMEOUT); }
static int conn_copy_end(lua_State *L) { return plain_await(L, &copy_end_type, GL_PG_COPY_ENDS, NULL, TIMEOUT); }

/* copy_stop(): of a COPY that is on its way nothing more is read, or kept */
static int conn_copy_stop(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  if (!gl_pg_conn_is_foreign(c)) gl_pg_copy_give_up(c);
  return 0;
}

/* ---- the handle ---- */

static int conn_clean(lua_State *L) {
  lua_pushboolean(L, gl_pg_conn_clean(check_conn(L)));
  return 1;
}

static int conn_busy(lua_State *L) {
  lua_pushboolean(L, gl_pg_conn_busy(check_conn(L)));
  return 1;
}

static int conn_alive(lua_State *L) {
  lua_pushboolean(L, gl_pg_conn_alive(check_conn(L)));
  return 1;
}

/* lost() -> is there no connection any more? */
static int conn_lost(lua_State *L) {
  const gl_pg_conn *c = check_conn(L);
  lua_pushboolean(L, gl_pg_conn_is_foreign(c) || !c->pg || c->dying);
  return 1;
}

static int conn_in_transaction(lua_State *L) {
  lua_pushboolean(L, gl_pg_conn_in_transaction(check_conn(L)));
  return 1;
}

/* attend(): from now on notifications wait until they are asked for, and are not dropped */
static int conn_attend(lua_State *L) {
  check_conn(L)->listens = true;
  return 0;
}

/* notification(timeout) -> channel, payload; nothing when somebody has rung */
static int conn_notification(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  return gl_pg_hear(L, c, gl_check_timeout(L, 2, GL_FOREVER));
}

static int conn_ring(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  if (!gl_pg_conn_is_foreign(c)) gl_pg_notes_ring(c);
  return 0;
}

static int conn_close(lua_State *L) {
  gl_pg_conn *c = check_conn(L);
  if (!gl_pg_conn_is_foreign(c)) gl_pg_conn_lose(c, "ECLOSED", "the connection was closed");
  return 0;
}

static int conn_gc(lua_State *L) {
  gl_pg_conn **at = gl_class_self(L, CONNECTION);
  if (*at) gl_pg_conn_unref(*at);
  *at = NULL;
  return 0;
}

int luaopen_green_db_postgres(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"query", conn_query},   {"first", conn_first},       {"exec", conn_exec},   {"begin", conn_begin}, {"commit", conn_commit},
    {"rollback", conn_rollback}, {"rollback_to", conn_rollback_to}, {"reset", conn_reset}, {"clean", conn_clean}, {"alive", conn_alive},
    {"busy", conn_busy}, {"in_transaction", conn_in_transaction}, {"close", conn_close}, {"notification", conn_notification},
    {"attend", conn_attend}, {"ring", conn_ring}, {"lost", conn_lost},
    {"copy", conn_copy}, {"copy_read", conn_copy_read}, {"copy_write", conn_copy_write}, {"copy_end", conn_copy_end},
    {"copy_stop", conn_copy_stop}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", conn_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", postgres_open}, {"parameters", postgres_parameters}, {NULL, NULL}};
  const char *error = gl_library_need("libpq.so.5");
  if (error) gl_error_raise(L, "db.postgres", "ENOLIBRARY", "PostgreSQL needs libpq: %s", error);
  gl_blob_class(L);
  gl_class_new(L, CONNECTION, methods, meta);
  luaL_newlib(L, functions);
  luaL_getmetatable(L, CONNECTION);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "methods"); /* to which the driver adds `cursor` */
  lua_pop(L, 1);
  return 1;
}
