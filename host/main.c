/* SPDX-License-Identifier: MIT */
#include "core/host.h"
#include "modules.h"
#include "script.h"

int main(int argc, char **argv) {
  gl_host *h = gl_host_new();
  gl_modules_open(h->L);
  gl_script s = {argc, argv, 1, 0};
  gl_script_run(h, &s);
  gl_host_close(h);
  return s.exit;
}
