/* SPDX-License-Identifier: MIT
 *
 * Records which functions of a build with -finstrument-functions run, in order, for tests/walk_spec.lua: with WALK=FILE each call on
 * the first thread writes the address of the function, from the program's start on, as a line of FILE.
 */
#include <stdio.h>
#include <stdlib.h>

#define UNTRACED __attribute__((no_instrument_function))
#define MOST (1 << 22)

extern char __executable_start;

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

static _Thread_local int first_thread;
static unsigned long calls[MOST];
static unsigned long count;

UNTRACED static void write_calls(void) {
  FILE *file = fopen(getenv("WALK"), "w");
  if (!file) return;
  for (unsigned long i = 0; i < count; i++) fprintf(file, "%lx\n", calls[i]);
  fclose(file);
}

UNTRACED __attribute__((constructor)) static void begin(void) {
  if (!getenv("WALK")) return;
  first_thread = 1;
  atexit(write_calls);
}

UNTRACED void __cyg_profile_func_enter(void *function, void *caller) {
  (void)caller;
  if (first_thread && count < MOST) calls[count++] = (unsigned long)((char *)function - &__executable_start);
}

UNTRACED void __cyg_profile_func_exit(void *function, void *caller) {
  (void)function;
  (void)caller;
}
