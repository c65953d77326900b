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
    struct {
      const uint32_t *next_instruction; /* the instruction after the one that the hook comes before */
      int trap, extra;                  /* arguments of a vararg function beyond its parameters */
    };              /* of a Lua function */
    void *of_c[3];  /* of a C function: not used here */
  };
  int other;
  short nresults;
  unsigned short status;
} frame;

#define IS_C 2   /* bit of the status of a C function: CIST_C */
#define HOOKED 8 /* bit of the status of a function in which a hook runs: CIST_HOOKED */
#define FINALIZES 128 /* bit of the status of a function in which a finalizer runs: CIST_FIN */
#define MARK (1 << 15) /* bit of the status that Lua does not use: this finalizer was seen */
#define SLOT 16 /* bytes of a value on Lua's stack */
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
static _Thread_local bool known, known_closing, known_inner;
static _Thread_local int nclosing;
static _Thread_local lua_CFunction stock_pcall, stock_xpcall;

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
  "local function fail() local variable <close> = value local b = 2 error() end "                  \
  "pcall(fail) local c = 3"

/* The same where Lua cannot yield, by pcall and xpcall. */
#define INNER_PROBE                                                                                \
  "local value = setmetatable({}, { __close = function() local a = 1 end }) "                      \
  "local function fail() local variable <close> = value local b = 2 error() end "                  \
  "local object = setmetatable({}, { __tostring = function() pcall(fail) xpcall(fail, type) return '' end }) " \
  "tostring(object) local c = 3"

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

static int run_inner_probe(lua_State *L) {
  nclosing = 0;
  known_inner = true;
  bool ran = run(L, INNER_PROBE, note_closing);
  known_inner = ran && nclosing == 4;
  return ran ? 0 : luaL_error(L, "the probe did not run");
}

static bool try_out(lua_State *L, lua_CFunction probe) {
  lua_pushcfunction(L, probe);
  bool ran = lua_pcall(L, 0, 0, 0) == LUA_OK;
  if (!ran) lua_pop(L, 1);
  return ran;
}

void gl_safepoint_learn(lua_State *L) {
  lua_getglobal(L, "pcall");
  stock_pcall = lua_tocfunction(L, -1);
  lua_getglobal(L, "xpcall");
  stock_xpcall = lua_tocfunction(L, -1);
  lua_pop(L, 2);
}

void gl_safepoint_init(lua_State *L) {
  static _Thread_local bool tried; /* false also after a trial without enough memory or C stack: the next error tries again */
  if (tried) return;
  tried = try_out(L, run_probe) && try_out(L, run_closing_probe) && try_out(L, run_inner_probe);
}

gl_safepoint gl_safepoint_next(const lua_Debug *ar) { return known ? read_next(ar) : GL_POINT_PLAIN; }

/* Was the function of `f` called by what closes variables for a pcall, an xpcall or a coroutine? The functions that those call
 * themselves stand right behind them on the stack; a __close stands higher, behind the values of the frames that the error has
 * left. */
static bool closes_for_catcher(lua_State *L, const frame *f, lua_Debug *caller) {
  const frame *by = f->previous;
  if (by->previous && !(by->status & IS_C)) return false;
  ptrdiff_t above = ((char *)f->func - (char *)by->func) / SLOT;
  if (*caller->what != 'C' && lua_getinfo(L, "u", caller) && caller->isvararg) above -= f->extra + caller->nparams + 1; /* Lua has moved it behind its arguments */
  if (!by->previous) return above > 1; /* the bottom of a coroutine */
  caller->i_ci = (struct CallInfo *)by;
  lua_getinfo(L, "Sf", caller);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (*caller->what != 'C' || !function) return false;
  return (function == stock_pcall && above > 2) || (function == stock_xpcall && above > 4);
}

bool gl_safepoint_closes(lua_State *L) {
  lua_Debug ar;
  if (!known || !lua_checkstack(L, 1) || !lua_getstack(L, 0, &ar)) return false;
  for (frame *f; (f = (frame *)ar.i_ci)->previous; ar.i_ci = (struct CallInfo *)f->previous) {
    lua_getinfo(L, "nS", &ar);
    if (*ar.what == 'C' && known_closing && (f->status & CLOSES)) return true;
    if (known_inner && closes_for_catcher(L, f, &ar)) return true;
    ar.i_ci = (struct CallInfo *)f;
    if (ar.name && strcmp(ar.namewhat, "metamethod") == 0 && strcmp(ar.name, "close") == 0) return true;
  }
  return false;
}

lua_State *gl_safepoint_resumed(lua_State *co) {
  lua_Debug ar;
  lua_State *inner = NULL;
  if (!lua_checkstack(co, 2) || !lua_getstack(co, 0, &ar) || !lua_getinfo(co, "Sf", &ar)) return NULL;
  if (*ar.what == 'C' && lua_getupvalue(co, -1, 1)) {
    inner = lua_tothread(co, -1); /* a function of coroutine.wrap */
    lua_pop(co, 1);
  }
  lua_pop(co, 1);
  if (*ar.what != 'C' || inner || !lua_getlocal(co, &ar, 1)) return inner;
  inner = lua_tothread(co, -1);
  lua_pop(co, 1);
  return inner;
}

bool gl_safepoint_in_hook(lua_State *L) {
  lua_Debug ar;
  gl_safepoint_init(L);
  if (!known || !lua_getstack(L, 0, &ar)) return false;
  for (const frame *f = (frame *)ar.i_ci; f->previous; f = f->previous) /* of lua_getstack, each level would take longer than the one before */
    if (f->previous->status & HOOKED) return true;
  return false;
}

/* The frame of the finalizer that runs on L; NULL: it runs on another coroutine, or does not show. */
static frame *finalizer_frame(lua_State *L) {
  lua_Debug ar;
  gl_safepoint_init(L);
  if (!known || !lua_getstack(L, 0, &ar)) return NULL;
  for (frame *f = (frame *)ar.i_ci; f->previous; f = f->previous)
    if (f->previous->status & FINALIZES) return f;
  return NULL;
}

bool gl_safepoint_finalizer(lua_State *L, bool *marked) {
  const frame *f = finalizer_frame(L);
  if (f) *marked = (f->status & MARK) != 0;
  return f != NULL;
}

void gl_safepoint_mark_finalizer(lua_State *L) {
  frame *f = finalizer_frame(L);
  if (f) f->status |= MARK;
}
