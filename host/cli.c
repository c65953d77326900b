/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lua.h>

#include "core/near.h"

#define GRACE 10.0

/* ---- the one list of options: parsing, --help and suggestions use it, and a test holds the man page and the completions against
 * what --help says ---- */

typedef struct option {
  char letter;          /* 0 = there is only a long name */
  const char *name;     /* NULL = there is only the letter */
  const char *argument; /* name of its argument, or how --help shows one that may be left out: "[=SEED]"; NULL = it takes none */
  int code;             /* what gl_cli_next returns */
  const char *text;     /* lines of --help; NULL = --help shows the option beside the one before */
} option;

static const option known[] = {
  {'e', NULL, "stat", 'e', "execute string 'stat'"},
  {'i', NULL, NULL, 'i', "enter interactive mode after executing 'script'"},
  {'l', NULL, "mod", 'l', "require library 'mod' into global 'mod' ('g=mod': 'g')"},
  {'v', NULL, NULL, 'v', "show version information"},
  {'E', NULL, NULL, 'E', "ignore environment variables"},
  {'W', NULL, NULL, 'W', "turn warnings on"},
  {0, "listen", "ADDR", GL_OPT_LISTEN, "serve on host:port, port or unix:/path; may be repeated"},
  {0, "cert", "F", GL_OPT_CERT, "serve tls://host:port with these certificates (PEM files)"},
  {0, "key", "F", GL_OPT_KEY, NULL},
  {0, "run", NULL, GL_OPT_RUN, "just run the script, whatever it returns"},
  {0, "grace", "SECONDS", GL_OPT_GRACE, "when stopped, let requests finish for so long (10)"},
  {0, "console", "PATH", GL_OPT_CONSOLE, "let 'greenlua attach PATH' in, of the same user"},
  {0, "max-memory", "SIZE", GL_OPT_MAX_MEMORY, "use no more than SIZE bytes (or K, M, G) of memory"},
  {0, "no-libc", NULL, GL_OPT_NO_LIBC, "let C modules that block hold up everybody"},
  {0, "dev", NULL, GL_OPT_DEV, "reload what changed, show errors in the browser"},
  {0, "shake", "[=SEED]", GL_OPT_SHAKE, "switch tasks at random, as SEED says, to find races"},
  {0, "version", NULL, GL_OPT_VERSION, "show the version, or this help, and nothing else"},
  {0, "help", NULL, GL_OPT_HELP, NULL},
};

enum { NKNOWN = sizeof known / sizeof *known };

static const gl_subcommand commands[] = {
  {"attach", "attach PATH", "a prompt (or -e LINE) in the process with --console PATH", "return require 'green.repl.attach'(...)", false},
  {"db", "db APP", "a prompt with the app's database and models", "return require 'green.migrations.prompt'(...)", true},
  {"doc", "doc [NAME]", "show the reference of a module, function or type", "return require 'green.reference.shell'(...)", false},
  {"jobs", "jobs APP [list]", "list the app's jobs (or show, retry, drop, cron, work)", "return require 'green.jobs.shell'(...)", false},
  {"migrate", "migrate APP [up]", "apply the app's migrations (or down, status, new, mark)", "return require 'green.migrations.shell'(...)", false},
};

enum { NCOMMANDS = sizeof commands / sizeof *commands };

static bool needs_argument(const option *o) { return o->argument && *o->argument != '['; }

/* ---- what is printed ---- */

static void print_row(FILE *out, const char *left, const char *text) {
  size_t len = strcspn(text, "\n");
  fprintf(out, "  %-19s%.*s\n", left, (int)len, text);
  if (text[len]) print_row(out, "", text + len + 1);
}

static size_t put_option(char *to, size_t size, const option *o) {
  char letter[2] = {o->letter, 0};
  return (size_t)snprintf(to, size, "%s%s%s%s", o->name ? "--" : "-", o->name ? o->name : letter, needs_argument(o) ? " " : "",
                          o->argument ? o->argument : "");
}

static void print_options(FILE *out) {
  for (int i = 0; i < NKNOWN; i++) {
    char left[64];
    const char *text = known[i].text;
    size_t n = put_option(left, sizeof left, &known[i]);
    for (; i + 1 < NKNOWN && !known[i + 1].text; i++) {
      n += (size_t)snprintf(left + n, sizeof left - n, ", ");
      n += put_option(left + n, sizeof left - n, &known[i + 1]);
    }
    print_row(out, left, text);
  }
  print_row(out, "--, -", "stop handling options; and execute stdin");
}

void gl_cli_version(void) {
  puts("greenlua " GREENLUA_VERSION ", " LUA_COPYRIGHT);
  fflush(stdout);
}

/* `as_lua`: -v, as lua has it, prints the line of lua first. */
static void print_version(bool as_lua) {
  if (as_lua) puts(LUA_COPYRIGHT "\ngreenlua " GREENLUA_VERSION);
  else gl_cli_version();
  fflush(stdout);
}

static void print_usage(FILE *out, const char *program) { fprintf(out, "usage: %s [options] [script [args]]\n", program); }

static void print_help(void) {
  print_usage(stdout, "greenlua");
  puts("Runs a command, or a script: an app or a function that it returns is served.");
  print_options(stdout);
  for (int i = 0; i < NCOMMANDS; i++) print_row(stdout, commands[i].usage, commands[i].text);
}

/* ---- parsing ---- */

static const option *find_long(const char *text, size_t len) {
  for (int i = 0; i < NKNOWN; i++) {
    const char *name = known[i].name;
    if (name && strlen(name) == len && memcmp(name, text, len) == 0) return &known[i];
  }
  return NULL;
}

static int next_long(char **argv, int *at, const char **value) {
  const char *text = argv[*at] + 2;
  size_t len = strcspn(text, "=");
  const option *o = find_long(text, len);
  bool inline_value = text[len] == '=';
  if (!o || (inline_value && !o->argument) || (needs_argument(o) && !inline_value && !argv[*at + 1])) return GL_OPT_BAD;
  *value = NULL;
  if (inline_value) *value = text + len + 1;
  else if (needs_argument(o)) *value = argv[++*at];
  ++*at;
  return o->code;
}

static const option *find_letter(char letter) {
  for (int i = 0; i < NKNOWN; i++)
    if (letter && known[i].letter == letter) return &known[i];
  return NULL;
}

int gl_cli_next(char **argv, int *at, const char **value) {
  const char *text = argv[*at];
  if (!text || text[0] != '-' || !text[1]) return GL_OPT_END;
  if (text[1] == '-' && text[2]) return next_long(argv, at, value);
  if (text[1] == '-') {
    ++*at;
    return GL_OPT_END;
  }
  const option *o = find_letter(text[1]);
  if (!o || (!o->argument && text[2])) return GL_OPT_BAD;
  if (o->argument) {
    *value = text + 2;
    if (!text[2]) {
      const char *next = argv[*at + 1];
      if (!next || *next == '-') return GL_OPT_BAD;
      *value = next;
      ++*at;
    }
  }
  ++*at;
  return o->code;
}

/* ---- what is wrong with an option ---- */

static const char *suggest(const char *text, size_t len) {
  char word[64];
  const char *best = NULL;
  size_t least = 0, mistakes;
  snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), text);
  for (int i = 0; i < NKNOWN; i++) {
    if (!known[i].name || !gl_near(word, known[i].name, &mistakes)) continue;
    if (best && mistakes >= least) continue;
    best = known[i].name;
    least = mistakes;
  }
  return best;
}

/* Says what is wrong with the option `bad`, in the words of lua, with a suggestion when a long name is mistyped. Returns false. */
static bool refuse_usage(const gl_cli *opts, const char *bad) {
  bool is_long = bad[0] == '-' && bad[1] == '-';
  const char *name = bad + (is_long ? 2 : 1);
  size_t len = strcspn(name, "=");
  const option *o = is_long ? find_long(name, len) : name[0] && !name[1] ? find_letter(name[0]) : NULL;
  const char *meant = o ? NULL : suggest(name, len);
  if (o && o->argument) fprintf(stderr, "%s: '%s' needs argument\n", opts->program, bad);
  else if (o) fprintf(stderr, "%s: '--%s' takes no argument\n", opts->program, o->name);
  else if (meant) fprintf(stderr, "%s: unrecognized option '%.*s'; did you mean '--%s'?\n", opts->program, (int)(name + len - bad), bad, meant);
  else fprintf(stderr, "%s: unrecognized option '%s'\n", opts->program, bad);
  print_usage(stderr, opts->program);
  if (meant) {
    fputs("'greenlua --help' shows the options\n", stderr);
    return false;
  }
  fputs("Available options are:\n", stderr);
  print_options(stderr);
  return false;
}

/* Returns an option that was given and is about serving; NULL: there is none. */
static const char *serving_option(const gl_cli *o) {
  return o->listens ? "--listen" : o->cert ? "--cert" : o->key ? "--key" : o->dev ? "--dev" : o->console ? "--console" : NULL;
}

/* Says that --run does not go with `serves`, an option about serving. Returns false. */
static bool refuse_conflict(const gl_cli *o, const char *serves) {
  fprintf(stderr, "%s: --run: nothing is served then, so that %s has no meaning\n", o->program, serves);
  return false;
}

static bool parse_grace(gl_cli *o, const char *text) {
  char *end;
  o->grace = strtod(text, &end);
  if (end != text && !*end && o->grace >= 0 && o->grace <= 1e9) return true;
  fprintf(stderr, "%s: --grace: '%s' is not a number of seconds\n", o->program, text);
  return false;
}

#define DRAWN_SEEDS 1000000 /* seeds that are easy to type */

/* `text`: NULL = the seed is drawn, and shown at once, since a crash would not show it. */
static bool parse_seed(gl_cli *o, const char *text) {
  char *end;
  struct timespec now;
  if (!text) {
    clock_gettime(CLOCK_REALTIME, &now);
    o->shake = 1 + ((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec) % DRAWN_SEEDS;
    fprintf(stderr, "%s: --shake=%" PRIu64 "\n", o->program, o->shake);
    return true;
  }
  errno = 0;
  o->shake = strtoull(text, &end, 10);
  if (isdigit((unsigned char)*text) && !*end && !errno && o->shake > 0) return true;
  fprintf(stderr, "%s: --shake: '%s' is not a seed, an integer from 1 on\n", o->program, text);
  return false;
}

#define LEAST_MEMORY ((size_t)1 << 20) /* bytes that the host itself needs */

static bool parse_size(gl_cli *o, const char *text) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  int shift = unit ? 10 * (int)(unit - units + 1) : 0;
  bool ok = isdigit((unsigned char)*text) && !errno && (unit ? !end[1] : !*end) && n <= SIZE_MAX >> shift;
  o->max_memory = ok ? (size_t)n << shift : 0;
  if (o->max_memory >= LEAST_MEMORY) return true;
  const char *why = ok ? "is less than 1M" : "is not a number of bytes, nor one with K, M or G";
  fprintf(stderr, "%s: --max-memory: '%s' %s\n", o->program, text, why);
  return false;
}

/* Returns the subcommand that stands where the script would; NULL: there is none. A script of that name is run as "./doc", or after "--". */
static const gl_subcommand *find_command(const gl_cli *o) {
  if (o->script >= o->argc || strcmp(o->argv[o->script - 1], "--") == 0) return NULL;
  for (int i = 0; i < NCOMMANDS; i++)
    if (strcmp(o->argv[o->script], commands[i].name) == 0) return &commands[i];
  return NULL;
}

bool gl_cli_parse(gl_cli *o, int argc, char **argv) {
  *o = (gl_cli){.argc = argc, .argv = argv, .grace = GRACE};
  o->program = argc > 0 && *argv[0] ? argv[0] : "greenlua";
  bool help = false, as_lua = false, ok = true;
  int code, at = argc > 0 ? 1 : 0;
  const char *value = NULL;
  while ((code = gl_cli_next(argv, &at, &value)) != GL_OPT_END) {
    switch (code) {
      case GL_OPT_BAD: return refuse_usage(o, argv[at]);
      case GL_OPT_LISTEN: o->listens++; break;
      case GL_OPT_CERT: o->cert = value; break;
      case GL_OPT_KEY: o->key = value; break;
      case GL_OPT_CONSOLE: o->console = value; break;
      case GL_OPT_GRACE: ok = parse_grace(o, value); break;
      case GL_OPT_MAX_MEMORY: ok = parse_size(o, value); break;
      case GL_OPT_SHAKE: ok = parse_seed(o, value); break;
      case GL_OPT_DEV: o->dev = true; break;
      case GL_OPT_NO_LIBC: o->no_libc = true; break;
      case GL_OPT_RUN: o->run = true; break;
      case GL_OPT_HELP: help = true; break;
      case GL_OPT_VERSION: o->version = o->quit = true; break;
      case 'e': o->chunks = true; break;
      case 'E': o->noenv = true; break;
      case 'i': o->version = o->interactive = true; break; /* as in lua */
      case 'v': o->version = as_lua = true; break;
      default: break;
    }
    if (!ok) return false;
  }
  o->script = at;
  o->command = find_command(o);
  if (o->command && o->command->prompt) o->interactive = true;
  if (help) {
    print_help();
    o->quit = true;
  } else if (o->version) {
    print_version(as_lua && !o->quit);
  }
  return !o->run || o->quit || !serving_option(o) || refuse_conflict(o, serving_option(o));
}
