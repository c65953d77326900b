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
#include "modules.h"
#include "script.h"

/* A peer that went away is an error of that write, not the end of the process; unless it was the reader
 * of our stdout: `greenlua gen.lua | head` ends as it does with lua. A handler, since children inherit
 * an ignored signal. */
static void on_sigpipe(int signal_number) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  if (poll(&out, 1, 0) != 1 || !(out.revents & POLLERR)) return;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void set_sigpipe(void) {
  struct sigaction now;
  if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_IGN) return; /* as our parent wants it */
  now = (struct sigaction){.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};
  sigaction(SIGPIPE, &now, NULL);
}

/* A standard descriptor that came closed would be the number of the next one opened, the event loop's for one, which
 * print would then write to. Opened the wrong way round, so that its use still fails with "Bad file descriptor". */
static void occupy_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest free one */
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
  int code = gl_script_run(h, &options);
  gl_interrupt_stop(h);
  gl_inspect_stop(h);
  gl_preempt_stop(h);
  gl_host_close(h);
  return code;
}
