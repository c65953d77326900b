/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "core/driver.h"
#include "core/inspect.h"
#include "core/interrupt.h"
#include "core/memory.h"
#include "core/preempt.h"
#include "core/shake.h"
#include "libc/layer.h"
#include "modules.h"
#include "script.h"

/* Makes a peer that went away an error of the write, not the end of the process; but when the reader of stdout went away, the
 * process ends, so that `greenlua gen.lua | head` ends as under lua. A handler does that, since children would inherit SIG_IGN. */
static void on_sigpipe(int signal_number) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR)) return;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void set_sigpipe(void) {
  struct sigaction now;
  if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN) return; /* the parent process wants it so */
  now = (struct sigaction){.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};
  sigaction(SIGPIPE, &now, NULL);
}

/* Occupies the standard descriptors that this process got closed. Otherwise the next one to be opened, the event loop's say, would
 * get the number, and print would write to it. They are opened for the wrong direction, so that using them still fails with
 * "Bad file descriptor". */
static void occupy_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* gets the lowest free number: fd */
}

int main(int argc, char **argv) {
  occupy_standard_descriptors();
  gl_cli options;
  if (!gl_cli_parse(&options, argc, argv)) return EXIT_FAILURE;
  if (options.quit) return EXIT_SUCCESS;
  set_sigpipe();
  gl_host *h = gl_host_new();
  if (!h) {
    fputs("greenlua: cannot create the event loop: out of memory or file descriptors\n", stderr);
    return EXIT_FAILURE;
  }
  gl_modules_init(h->L, options.noenv);
  gl_memory_limit(h, options.max_memory);
  gl_preempt_start(h);
  gl_inspect_start(h);
  if (!options.no_libc) gl_layer_start(h);
  if (options.shake) gl_shake_all(h, options.shake);
  int code = gl_script_run(h, &options);
  if (code != EXIT_SUCCESS) gl_shake_tell(h);
  gl_layer_stop(h);
  gl_interrupt_stop(h);
  gl_inspect_stop(h);
  gl_host_close(h);
  return code;
}
