/* SPDX-License-Identifier: MIT
 *
 * A jump that ThreadSanitizer sees. Debian's Lua jumps by __longjmp_chk, which ThreadSanitizer does not know: each yield would leave
 * frames on its shadow stack, until the shadow stack overflows and false races are reported. Empty in other builds.
 */
typedef int gl_tsan_only; /* a translation unit must not be empty */

#ifdef __SANITIZE_THREAD__
#include <setjmp.h>

_Noreturn void __longjmp_chk(struct __jmp_buf_tag *env, int value);

void __longjmp_chk(struct __jmp_buf_tag *env, int value) { longjmp(env, value); }
#endif
