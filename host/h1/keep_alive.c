/* SPDX-License-Identifier: MIT
 *
 * The field Keep-Alive (RFC 2068, 19.7.1.1), by which servers say for how long a connection may be idle, and for how many requests it serves.
 */
#include "h1/fields.h"

#define MOST 1000000000u /* larger numbers are this one */

static bool take_number(gl_text *s, uint32_t *number) {
  const char *from = s->at;
  uint32_t n = 0;
  for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) n = n > MOST / 10 ? MOST : n * 10 + (uint32_t)(*s->at - '0');
  if (s->at == from) return false;
  *number = n < MOST ? n : MOST;
  return true;
}

void gl_field_keep_alive(gl_text field, uint32_t *seconds, uint32_t *requests) {
  gl_text element, name;
  while (gl_take_element(&field, &element)) {
    if (!gl_take_token(&element, &name) || !gl_take_char(&element, '=')) continue;
    if (gl_text_is(name, "timeout")) take_number(&element, seconds);
    else if (gl_text_is(name, "max")) take_number(&element, requests);
  }
}
