/* SPDX-License-Identifier: MIT
 *
 * Each stack is 1 MiB of address space, committed as it is touched, above a guard page. Less is not
 * enough: recursive gsub reaches Lua's own limit of 200 C calls only past 400 KiB. Two mappings a
 * stack; the kernel's default vm.max_map_count ends that near 32,000, so max_parked stays below.
 *
 * The switch is a dozen instructions on x86-64 and aarch64; elsewhere ucontext does the same
 * and costs a system call for the signal mask each way.
 */
#include "core/stack.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define GL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GL_ASAN 1
#endif
#endif
#ifdef GL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define GL_TSAN 1
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define GL_VALGRIND 1
#endif

#if !defined(GREENLUA_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define GREENLUA_UCONTEXT 1
#endif
#ifdef GREENLUA_UCONTEXT
#include <ucontext.h>
#endif

#if defined(GL_ASAN) || defined(GL_TSAN)
#define STACK_SIZE ((size_t)4 << 20) /* instrumented frames are several times larger */
#else
#define STACK_SIZE ((size_t)1 << 20)
#endif
#define MAX_IDLE 64 /* idle stacks kept for the next park */
#define ARM_FRAME 160 /* bytes of a switch frame on aarch64: x19-x30, then d8-d15 */
#define ARM_LINK 11   /* which of its words is x30, where the switch returns to */

struct gl_stack {
  gl_stack *next;  /* list of idle stacks */
  gl_host *host;
  char *map;       /* guard page, then the stack; NULL for home */
#ifdef GREENLUA_UCONTEXT
  ucontext_t ctx;
#else
  void *sp;        /* stack pointer, saved while another stack is current */
#endif
#ifdef GL_ASAN
  void *fake;           /* ASan's fake stack of this one */
  const void *bottom;   /* bounds of this stack, which ASan wants on each switch */
  size_t size;
#endif
#ifdef GL_TSAN
  void *fiber;          /* TSan's record of this stack */
#endif
#ifdef GL_VALGRIND
  unsigned vg_id;
#endif
};

/* ---- the switch ---- */

#ifndef GREENLUA_UCONTEXT
/* Saves the callee-saved registers on this stack and its pointer in *from; continues on `to`. */
__attribute__((noinline)) void gl_stack_switch(void **from, void *to);

#if defined(__x86_64__)
__asm__(
  ".text\n.globl gl_stack_switch\n.type gl_stack_switch,@function\ngl_stack_switch:\n"
  "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
  "  subq $8, %rsp\n  stmxcsr (%rsp)\n  fnstcw 4(%rsp)\n"
  "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
  "  ldmxcsr (%rsp)\n  fldcw 4(%rsp)\n  addq $8, %rsp\n"
  "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
  "  ret\n.size gl_stack_switch,.-gl_stack_switch\n");
#elif defined(__aarch64__)
__asm__(
  ".text\n.globl gl_stack_switch\n.type gl_stack_switch,%function\ngl_stack_switch:\n"
  "  sub sp, sp, #160\n"
  "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
  "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
  "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
  "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
  "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
  "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
  "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
  "  add sp, sp, #160\n  ret\n.size gl_stack_switch,.-gl_stack_switch\n");
#endif
#endif

/* Switches stacks, and tells the sanitizers: ASan before and after the switch, TSan before it. */
static void switch_stacks(gl_stack *from, gl_stack *to) {
#ifdef GL_ASAN
  __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
#ifdef GL_TSAN
  if (!from->fiber) from->fiber = __tsan_get_current_fiber(); /* home */
  __tsan_switch_to_fiber(to->fiber, 0);
#endif
#ifdef GREENLUA_UCONTEXT
  swapcontext(&from->ctx, &to->ctx);
#else
  gl_stack_switch(&from->sp, to->sp);
#endif
#ifdef GL_ASAN
  __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}

/* The two ends of the hop that this thread makes now: a new stack gets no arguments, and finds itself here. */
static _Thread_local gl_stack *entering;
static _Thread_local gl_stack *left_behind;

/* The first frame of a new stack. */
static void enter_stack(void) {
  gl_stack *s = entering;
#ifdef GL_ASAN
  gl_stack *prev = left_behind; /* the bounds of home become known when it is left for the first time */
  if (prev->bottom) __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
  else __sanitizer_finish_switch_fiber(NULL, &prev->bottom, &prev->size);
#else
  (void)left_behind;
#endif
  s->host->drive(s->host);
  GL_CHECK(!"a driver returned on a stack of its own");
}

/* Lays out a new stack so that the first switch to it enters enter_stack. */
static void prepare_stack(gl_stack *s) {
  char *base = s->map + (size_t)getpagesize();
#ifdef GREENLUA_UCONTEXT
  getcontext(&s->ctx);
  s->ctx.uc_stack.ss_sp = base;
  s->ctx.uc_stack.ss_size = STACK_SIZE;
  s->ctx.uc_link = NULL;
  makecontext(&s->ctx, enter_stack, 0);
#elif defined(__x86_64__)
  void **top = (void **)(void *)(base + STACK_SIZE);
  *--top = NULL;                   /* alignment, and the end of every backtrace */
  *--top = (void *)(uintptr_t)enter_stack; /* where the switch returns to */
  top -= 6;                        /* callee-saved registers, with any values */
  *--top = NULL;
  uint32_t *fp = (uint32_t *)top;
  uint16_t cw;
  __asm__ volatile("stmxcsr %0" : "=m"(fp[0]));
  __asm__ volatile("fnstcw %0" : "=m"(cw));
  fp[1] = cw;
  s->sp = top;
#else
  char *top = base + STACK_SIZE - ARM_FRAME;
  void **reg = (void **)(void *)top;
  for (size_t i = 0; i < ARM_FRAME / sizeof *reg; i++) reg[i] = NULL;
  reg[ARM_LINK] = (void *)(uintptr_t)enter_stack;
  s->sp = top;
#endif
}

/* ---- the stacks ---- */

static gl_stack *stack_new(gl_host *h) {
  size_t page = (size_t)getpagesize();
  gl_stack *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->host = h;
  s->map = mmap(NULL, page + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (s->map == MAP_FAILED || mprotect(s->map, page, PROT_NONE) != 0) {
    if (s->map != MAP_FAILED) munmap(s->map, page + STACK_SIZE);
    free(s);
    return NULL;
  }
#ifdef GL_ASAN
  __asan_unpoison_memory_region(s->map + page, STACK_SIZE); /* what a stack was marked with that lay here before */
  s->bottom = s->map + page;
  s->size = STACK_SIZE;
#endif
#ifdef GL_TSAN
  s->fiber = __tsan_create_fiber(0);
#endif
#ifdef GL_VALGRIND
  s->vg_id = VALGRIND_STACK_REGISTER(s->map + page, s->map + page + STACK_SIZE);
#endif
  prepare_stack(s);
  return s;
}

static void stack_free(gl_stack *s) {
#ifdef GL_VALGRIND
  VALGRIND_STACK_DEREGISTER(s->vg_id);
#endif
#ifdef GL_TSAN
  if (s->map) __tsan_destroy_fiber(s->fiber);
#endif
  if (s->map) munmap(s->map, (size_t)getpagesize() + STACK_SIZE);
  free(s);
}

bool gl_stack_init(gl_host *h) {
  h->home = h->stack = calloc(1, sizeof *h->home);
  if (h->home) h->home->host = h;
  return h->home != NULL;
}

gl_stack *gl_stack_take(gl_host *h) {
  if (h->census.parked >= h->max_parked) return NULL;
  gl_stack *s = h->idle;
  if (!s) return stack_new(h);
  h->idle = s->next;
  h->idle_stacks--;
  return s;
}

void gl_stack_hop(gl_host *h, gl_stack *to) {
  gl_stack *from = h->stack;
  GL_CHECK(from != to);
  h->stack = entering = to;
  left_behind = from;
  switch_stacks(from, to);
}

void gl_stack_hop_idle(gl_host *h, gl_stack *to) {
  gl_stack *from = h->stack;
  while (h->idle_stacks >= MAX_IDLE && h->idle != h->home) { /* the current stack is not on the list */
    gl_stack *extra = h->idle;
    h->idle = extra->next;
    h->idle_stacks--;
    stack_free(extra);
  }
  from->next = h->idle;
  h->idle = from;
  h->idle_stacks++;
  gl_stack_hop(h, to);
}

void gl_stack_take_home(gl_host *h) {
  gl_stack **at = &h->idle;
  while (*at && *at != h->home) at = &(*at)->next;
  GL_CHECK(*at);
  *at = h->home->next;
  h->idle_stacks--;
}

void gl_stack_free_idle(gl_host *h) {
  while (h->idle) {
    gl_stack *s = h->idle;
    h->idle = s->next;
    h->idle_stacks--;
    if (s != h->home) stack_free(s);
  }
}
