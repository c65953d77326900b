/* SPDX-License-Identifier: MIT
 *
 * The command line: the options of lua, and a few for serving.
 */
#ifndef GL_CLI_H
#define GL_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* `greenlua doc`: a word that is no script but a chunk of ours, which gets what follows it and returns the exit code. */
typedef struct gl_subcommand {
  const char *name;
  const char *usage; /* as --help has it: "doc [NAME]" */
  const char *text;
  const char *chunk;
} gl_subcommand;

typedef struct gl_cli {
  int argc;
  char **argv;
  const char *program; /* argv[0]: who its messages are from */
  int script;       /* index of the script in argv; argc = there is none */
  const gl_subcommand *command; /* what `script` is instead; NULL = a script */
  int listens;      /* how many --listen there are */
  size_t max_memory; /* bytes; 0 = no limit */
  double grace;     /* seconds a server that stops lets its requests finish */
  const char *console; /* --console; NULL = none */
  bool interactive; /* -i */
  bool chunks;      /* -e */
  bool version;     /* -v, -i or --version */
  bool quit;        /* --version and --help: nothing to run */
  bool noenv;       /* -E */
  bool dev;         /* --dev */
  bool run;         /* --run: not to be served */
} gl_cli;

/* What gl_cli_next returns beside the letter of a short option. */
enum { GL_OPT_END = 0, GL_OPT_BAD = -1, GL_OPT_LISTEN = 256, GL_OPT_GRACE, GL_OPT_CONSOLE, GL_OPT_MAX_MEMORY, GL_OPT_DEV, GL_OPT_RUN, GL_OPT_VERSION, GL_OPT_HELP };

/* The option at argv[*at], stepping *at past it; its argument in *value. At GL_OPT_END *at is the index of
 * the script (or argc), at GL_OPT_BAD that of what is wrong. */
int gl_cli_next(char **argv, int *at, const char **value);

/* Fills `o`, prints version, help or (to stderr) what is wrong. False: wrong. */
bool gl_cli_parse(gl_cli *o, int argc, char **argv);

/* "greenlua 0.1.0, Lua 5.4.4 Copyright ..." on stdout. */
void gl_cli_version(void);

#endif
