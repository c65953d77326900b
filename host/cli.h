/* SPDX-License-Identifier: MIT
 *
 * The command line: the options of lua, a few for serving, and subcommands.
 */
#ifndef GL_CLI_H
#define GL_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A word that is no script, as in `greenlua doc`: the embedded chunk gets the arguments that follow, and returns the exit code. */
typedef struct gl_subcommand {
  const char *name;
  const char *usage; /* in --help: "doc [NAME]" */
  const char *text;  /* what --help says of it */
  const char *chunk; /* Lua */
  bool prompt;       /* the interactive mode follows, as after -i, if the chunk returns nothing */
} gl_subcommand;

typedef struct gl_cli {
  int argc;
  char **argv;
  const char *program; /* argv[0]: messages begin with it */
  int script;       /* index in argv of the script or the subcommand; argc = there is none */
  const gl_subcommand *command; /* the subcommand; NULL = there is none */
  int listens;      /* number of --listen options */
  size_t max_memory; /* bytes; 0 = no limit */
  uint64_t shake;   /* seed of --shake, which is drawn when the option gives none; 0 = tasks are not switched at random */
  double grace;     /* seconds a server that stops lets its requests finish */
  const char *cert;    /* --cert; NULL = none */
  const char *key;     /* --key; NULL = none */
  const char *console; /* --console; NULL = none */
  bool interactive; /* -i */
  bool chunks;      /* -e */
  bool version;     /* -v, -i or --version */
  bool quit;        /* --version and --help: nothing to run */
  bool noenv;       /* -E */
  bool dev;         /* --dev */
  bool no_libc;     /* --no-libc: C modules that block do not wait as tasks (libc/layer.h) */
  bool run;         /* --run: the script is not served, whatever it returns */
} gl_cli;

/* What gl_cli_next returns, apart from the letter of a short option. */
enum { GL_OPT_END = 0, GL_OPT_BAD = -1, GL_OPT_LISTEN = 256, GL_OPT_CERT, GL_OPT_KEY, GL_OPT_GRACE, GL_OPT_CONSOLE, GL_OPT_MAX_MEMORY, GL_OPT_DEV, GL_OPT_NO_LIBC, GL_OPT_RUN, GL_OPT_SHAKE, GL_OPT_VERSION, GL_OPT_HELP };

/* Returns the option at argv[*at] and steps *at past it; its argument is in *value. With GL_OPT_END *at is the index of the script
 * (or argc), with GL_OPT_BAD that of the wrong option. */
int gl_cli_next(char **argv, int *at, const char **value);

/* Fills `o`; prints the version or the help if asked to. False: an option is wrong, and stderr says which. */
bool gl_cli_parse(gl_cli *o, int argc, char **argv);

/* Prints "greenlua 0.1.0, Lua 5.4.4 Copyright ..." on stdout. */
void gl_cli_version(void);

#endif
