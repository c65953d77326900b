/* SPDX-License-Identifier: MIT */
#include "db/postgres/session.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_part_of_name(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool has_word(const char *sql, const char *word) {
  size_t n = strlen(word);
  for (const char *at = sql; (at = strcasestr(at, word)) != NULL; at += n)
    if ((at == sql || !is_part_of_name(at[-1])) && !is_part_of_name(at[n])) return true;
  return false;
}

static const char *const words[] = {
  "temp", "temporary", "hold", "set_config", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared",
};

bool gl_pg_session_by_text(const char *sql) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (has_word(sql, words[i])) return true;
  return false;
}

/* SET LOCAL and SET TRANSACTION end with their transaction. */
static bool sets_the_session(const char *sql) { return has_word(sql, "session") || !(has_word(sql, "local") || has_word(sql, "transaction")); }

bool gl_pg_session_by_tag(const char *tag, const char *sql, bool script) {
  static const char *const tags[] = {"RESET", "LISTEN", "PREPARE", "LOAD"};
  if (strcmp(tag, "SET") == 0) return script || sets_the_session(sql);
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
    if (strcmp(tag, tags[i]) == 0) return true;
  return false;
}
