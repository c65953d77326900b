/* SPDX-License-Identifier: MIT */
#include "db/postgres/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/postgres/session.h"
#include "db/sql.h"

#define MOST 128 /* statements of a connection */

static void unlink_entry(gl_pg_cache *c, gl_pg_entry *e) {
  if (e->prev) e->prev->next = e->next;
  else c->head = e->next;
  if (e->next) e->next->prev = e->prev;
  else c->tail = e->prev;
  c->count--;
}

static void link_first(gl_pg_cache *c, gl_pg_entry *e) {
  e->prev = NULL;
  e->next = c->head;
  if (c->head) c->head->prev = e;
  else c->tail = e;
  c->head = e;
  c->count++;
}

static gl_pg_entry *entry_new(const char *sql, uint32_t hash) {
  size_t len = strlen(sql);
  gl_pg_entry *e = calloc(1, sizeof *e + len + 1);
  if (!e) return NULL;
  e->hash = hash;
  e->changes = gl_pg_session_by_text(sql);
  memcpy(e->sql, sql, len + 1);
  return e;
}

gl_pg_entry *gl_pg_cache_find(gl_pg_cache *c, const char *sql) {
  uint32_t hash = gl_sql_hash(sql, strlen(sql));
  gl_pg_entry *e = c->head;
  while (e && (e->hash != hash || strcmp(e->sql, sql) != 0)) e = e->next;
  if (e) {
    unlink_entry(c, e);
    e->used = true;
  } else {
    e = entry_new(sql, hash);
    if (!e) return NULL;
    if (c->count >= MOST) gl_pg_cache_drop(c, c->tail, true);
  }
  link_first(c, e);
  return e;
}

void gl_pg_entry_name(const gl_pg_entry *e, char name[GL_PG_NAME]) { snprintf(name, GL_PG_NAME, "gl%" PRIu64, e->id); }

void gl_pg_cache_name(gl_pg_cache *c, gl_pg_entry *e, char name[GL_PG_NAME]) {
  e->id = ++c->ids;
  gl_pg_entry_name(e, name);
}

void gl_pg_entry_describe(gl_pg_entry *e, const PGresult *r) {
  int n = PQnparams(r);
  if (e->described) return;
  e->types = calloc((size_t)n + 1, sizeof *e->types);
  if (!e->types) return;
  for (int i = 0; i < n; i++) e->types[i] = PQparamtype(r, i);
  e->n = n;
  e->described = true;
}

static void entry_free(gl_pg_entry *e) {
  free(e->types);
  free(e);
}

void gl_pg_cache_drop(gl_pg_cache *c, gl_pg_entry *e, bool there) {
  unlink_entry(c, e);
  if (there && e->prepared) gl_buf_add(&c->stale, &e->id, sizeof e->id); /* without memory it stays there: one statement */
  entry_free(e);
}

bool gl_pg_cache_take_stale(gl_pg_cache *c, char name[GL_PG_NAME]) {
  gl_pg_entry e = {0};
  if (!c->stale.len) return false;
  memcpy(&e.id, gl_buf_at(&c->stale), sizeof e.id);
  gl_buf_eat(&c->stale, sizeof e.id);
  gl_pg_entry_name(&e, name);
  return true;
}

void gl_pg_cache_clear(gl_pg_cache *c) {
  while (c->head) gl_pg_cache_drop(c, c->head, false);
  gl_buf_free(&c->stale);
}
