/* SPDX-License-Identifier: MIT */
#include "db/sqlite/memory.h"

#include <pthread.h>

#include <sqlite3.h>

#include "core/memory.h"

#define ROUND 8 /* bytes to whose multiples SQLite's own allocator rounds sizes up */

static void *memory_new(int n) { return gl_memory_resize_for_library(NULL, (size_t)n, true); }
static void memory_free(void *block) { gl_memory_resize_for_library(block, 0, true); }
static void *memory_resize(void *block, int n) { return gl_memory_resize_for_library(block, (size_t)n, true); }
static int memory_size(void *block) { return block ? (int)gl_memory_size_for_library(block) : 0; }
static int memory_round(int n) { return (n + ROUND - 1) & ~(ROUND - 1); }

static int memory_begin(void *unused) {
  (void)unused;
  return SQLITE_OK;
}

static void memory_end(void *unused) { (void)unused; }

static void set_allocator(void) {
  static const sqlite3_mem_methods methods = {memory_new, memory_free, memory_resize, memory_size, memory_round, memory_begin, memory_end, NULL};
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

void gl_sqlite_memory_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, set_allocator);
}
