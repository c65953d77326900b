/* SPDX-License-Identifier: MIT */
#include "message/head.h"

#include <stdlib.h>
#include <string.h>

bool gl_fields_copy(gl_fields *to, const gl_fields *from) {
  size_t list = from->n * sizeof *from->list, text = gl_fields_text(from);
  gl_field *copy = malloc(list + text + 1);
  if (!copy) return false;
  if (from->n) memcpy(copy, from->list, list);
  if (text) memcpy((char *)copy + list, from->text, text);
  *to = (gl_fields){(char *)copy + list, copy, from->n};
  return true;
}

void gl_fields_free(gl_fields *copy) {
  free((void *)copy->list);
  *copy = (gl_fields){0};
}
