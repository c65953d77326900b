/* SPDX-License-Identifier: MIT */
#include "core/safepoint.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

/* The head of Lua's CallInfo (lstate.h). */
typedef struct frame {
  void *func, *top;
  struct frame *previous, *next;
  union {
    const uint32_t *next_instruction; /* of a Lua function: the instruction after the one that the hook comes before */
    void *of_c[3];                    /* of a C function: not used here */
  };
  int other;
  short nresults;
  unsigned short status;
} frame;

#define CLOSES (1 << 9 | 7 << 10) /* bits of the status of a C function: CIST_CLSRET, and the error for which it closes, CIST_RECST */

enum { OP_TBC = 55, OP_JMP = 56, OP_EQ = 57, OP_TESTSET = 67, OP_FORLOOP = 73, OP_TFORPREP = 75, OP_TFORCALL = 76 }; /* lopcodes.h */

static int opcode(uint32_t instruction) { return (int)(instruction & 0x7f); }

static bool jumps_back(uint32_t instruction) { return opcode(instruction) == OP_JMP && instruction >> 7 < (1 << 24) - 1; }

/* A comparison counts as the jump behind it, since Lua runs both as one instruction. */
static gl_safepoint read_next(const lua_Debug *ar) {
  const uint32_t *after = ((const frame *)ar->i_ci)->next_instruction, next = after[-1];
  int code = opcode(next);
  if (code == OP_TBC || code == OP_TFORPREP) return GL_POINT_TAKES;
  if (code == OP_FORLOOP || code == OP_TFORCALL || jumps_back(next)) return GL_POINT_REPEATS;
  return code >= OP_EQ && code <= OP_TESTSET && jumps_back(*after) ? GL_POINT_REPEATS : GL_POINT_PLAIN;
}

/* ---- the trial ---- */

#define PROBE                                                                              \
  "local variable <close> = nil for _ = 1, 2 do end for _ in next, { 1 } do end "             \
  "local go = true while go do go = nil end local n = 2 repeat n = n - 1 until n == 0"
#define EXPECTED "TRR" "TR" "R" "RR"

static _Thread_local char seen[16];
static _Thread_local size_t nseen;
static _Thread_local bool known, known_closing;
static _Thread_local int nclosing;

static void note(lua_State *L, lua_Debug *ar) {
  (void)L;
  gl_safepoint point = read_next(ar);
  if (point != GL_POINT_PLAIN && nseen < sizeof seen) seen[nseen++] = point == GL_POINT_TAKES ? 'T' : 'R';
}

/* Runs `source` under `hook` on a coroutine of its own, resumed and not called: only so an error, lack of memory for one, ends in the
 * coroutine. False: the source did not run to its end. */
static bool run(lua_State *L, const char *source, lua_Hook hook) {
  int nresults;
  lua_State *co = lua_newthread(L);
  if (luaL_loadstring(co, source) != LUA_OK) return false;
  lua_sethook(co, hook, LUA_MASKCOUNT, 1);
  return lua_resume(co, L, 0, &nresults) == LUA_OK;
}

static int run_probe(lua_State *L) {
  nseen = 0;
  if (!run(L, PROBE, note)) return luaL_error(L, "the probe did not run");
  known = nseen == strlen(EXPECTED) && memcmp(seen, EXPECTED, nseen) == 0;
  return 0;
}

/* Closes `value` once for a pcall that catches an error; the hook must find two instructions during that closing. */
#define CLOSING_PROBE                                                                              \
  "local value = setmetatable({}, { __close = function() local a = 1 end }) "                      \
  "pcall(function() local variable <close> = value local b = 2 error() end) local c = 3"

static void note_closing(lua_State *L, lua_Debug *ar) {
  (void)ar;
  nclosing += gl_safepoint_closes(L);
}

static int run_closing_probe(lua_State *L) {
  nclosing = 0;
  known_closing = true;
  bool ran = run(L, CLOSING_PROBE, note_closing);
  known_closing = ran && nclosing == 2;
  return ran ? 0 : luaL_error(L, "the probe did not run");
}

static bool try_out(lua_State *L, lua_CFunction probe) {
  lua_pushcfunction(L, probe);
  bool ran = lua_pcall(L, 0, 0, 0) == LUA_OK;
  if (!ran) lua_pop(L, 1);
  return ran;
}

void gl_safepoint_init(lua_State *L) {
  static _Thread_local bool tried; /* false also after a trial without enough memory or C stack: the next error tries again */
  if (tried) return;
  tried = try_out(L, run_probe) && try_out(L, run_closing_probe);
}

gl_safepoint gl_safepoint_next(const lua_Debug *ar) { return known ? read_next(ar) : GL_POINT_PLAIN; }

bool gl_safepoint_closes(lua_State *L) {
  lua_Debug ar;
  if (!known || !lua_getstack(L, 0, &ar)) return false;
  for (frame *f; (f = (frame *)ar.i_ci)->previous; ar.i_ci = (struct CallInfo *)f->previous) {
    lua_getinfo(L, "nS", &ar);
    if (*ar.what == 'C' && known_closing && (f->status & CLOSES)) return true;
    if (ar.name && strcmp(ar.namewhat, "metamethod") == 0 && strcmp(ar.name, "close") == 0) return true;
  }
  return false;
}
