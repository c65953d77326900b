/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>

#define GRACE 10.0

static const char options_text[] =
  "  -e stat          execute string 'stat'\n"
  "  -i               enter interactive mode after executing 'script'\n"
  "  -l mod           require library 'mod' into global 'mod'\n"
  "  -l g=mod         require library 'mod' into global 'g'\n"
  "  -v, --version    show version information\n"
  "  -E               ignore environment variables\n"
  "  -W               turn warnings on\n"
  "  --listen ADDR    serve on host:port, [ipv6]:port or unix:/path instead of\n"
  "                   127.0.0.1:8080; may be given several times\n"
  "  --grace SECONDS  when stopped, let requests finish for so long (default 10)\n"
  "  --max-memory SIZE  no more memory than SIZE bytes, or with K, M or G\n"
  "  --help           show this help\n"
  "  --               stop handling options\n"
  "  -                stop handling options and execute stdin\n";

void gl_options_version(void) {
  puts("greenlua " GREENLUA_VERSION ", " LUA_COPYRIGHT);
  fflush(stdout);
}

static void print_help(void) {
  printf("usage: greenlua [options] [script [args]]\n\n"
         "Runs a Lua script as lua does, but as a task: what waits holds up nobody else.\n"
         "A script that returns an app, or one function, is served over HTTP.\n\n%s",
         options_text);
}

static const struct {
  const char *name;
  int code;
  bool argument;
} long_options[] = {
  {"listen", GL_OPT_LISTEN, true}, {"grace", GL_OPT_GRACE, true}, {"max-memory", GL_OPT_MAX_MEMORY, true},
  {"version", GL_OPT_VERSION, false}, {"help", GL_OPT_HELP, false},
};

static int next_long(char **argv, int *at, const char **value) {
  const char *text = argv[*at] + 2;
  size_t len = strcspn(text, "=");
  for (size_t i = 0; i < sizeof long_options / sizeof *long_options; i++) {
    if (strncmp(text, long_options[i].name, len) != 0 || long_options[i].name[len]) continue;
    bool inline_value = text[len] == '=';
    if (inline_value != long_options[i].argument && (inline_value || !argv[*at + 1])) return GL_OPT_BAD;
    if (inline_value) *value = text + len + 1;
    else if (long_options[i].argument) *value = argv[++*at];
    ++*at;
    return long_options[i].code;
  }
  return GL_OPT_BAD;
}

int gl_options_next(char **argv, int *at, const char **value) {
  const char *text = argv[*at];
  if (!text || text[0] != '-' || !text[1]) return GL_OPT_END;
  if (text[1] == '-' && text[2]) return next_long(argv, at, value);
  if (text[1] == '-') {
    ++*at;
    return GL_OPT_END;
  }
  if (text[1] == 'e' || text[1] == 'l') {
    *value = text + 2;
    if (!text[2]) {
      const char *next = argv[*at + 1];
      if (!next || *next == '-') return GL_OPT_BAD;
      *value = next;
      ++*at;
    }
  } else if (!strchr("iEvW", text[1]) || text[2]) {
    return GL_OPT_BAD;
  }
  ++*at;
  return (unsigned char)text[1];
}

static bool usage(const gl_options *o, const char *bad) {
  static const char *const takers[] = {"-e", "-l", "--listen", "--grace", "--max-memory"};
  bool lacks = false;
  for (size_t i = 0; i < sizeof takers / sizeof *takers; i++) lacks |= strcmp(bad, takers[i]) == 0;
  fprintf(stderr, lacks ? "%s: '%s' needs argument\n" : "%s: unrecognized option '%s'\n", o->program, bad);
  fprintf(stderr, "usage: %s [options] [script [args]]\nAvailable options are:\n%s", o->program, options_text);
  return false;
}

static bool parse_grace(gl_options *o, const char *text) {
  char *end;
  o->grace = strtod(text, &end);
  if (end != text && !*end && o->grace >= 0 && o->grace <= 1e9) return true;
  fprintf(stderr, "%s: --grace: '%s' is not a number of seconds\n", o->program, text);
  return false;
}

/* Less would not do for the host itself. */
#define LEAST ((size_t)1 << 20)

static bool parse_size(size_t *size, const char *text) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  int shift = unit ? 10 * (int)(unit - units + 1) : 0;
  bool ok = isdigit((unsigned char)*text) && !errno && (unit ? !end[1] : !*end) && n <= SIZE_MAX >> shift;
  *size = ok ? (size_t)n << shift : 0;
  if (*size >= LEAST) return true;
  fprintf(stderr, ok ? "greenlua: --max-memory: '%s' is less than 1M\n" : "greenlua: --max-memory: '%s' is not a number of bytes, nor one with K, M or G\n", text);
  return false;
}

bool gl_options_parse(gl_options *o, int argc, char **argv) {
  *o = (gl_options){.argc = argc, .argv = argv, .grace = GRACE};
  o->program = argc > 0 && *argv[0] ? argv[0] : "greenlua";
  bool help = false;
  int code, at = argc > 0 ? 1 : 0;
  const char *value = NULL;
  while ((code = gl_options_next(argv, &at, &value)) != GL_OPT_END) {
    switch (code) {
      case GL_OPT_BAD: return usage(o, argv[at]);
      case GL_OPT_LISTEN: o->listens++; break;
      case GL_OPT_GRACE:
        if (!parse_grace(o, value)) return false;
        break;
      case GL_OPT_MAX_MEMORY:
        if (!parse_size(&o->max_memory, value)) return false;
        break;
      case GL_OPT_HELP: help = true; break;
      case GL_OPT_VERSION: o->version = o->quit = true; break;
      case 'e': o->chunks = true; break;
      case 'E': o->noenv = true; break;
      case 'i': o->interactive = true; /* and, as in lua, the version */ /* fall through */
      case 'v': o->version = true; break;
      default: break;
    }
  }
  o->script = at;
  if (help) {
    print_help();
    o->quit = true;
  } else if (o->version) {
    gl_options_version();
  }
  return true;
}
