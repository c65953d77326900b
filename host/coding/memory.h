/* SPDX-License-Identifier: MIT
 *
 * The allocator of the libraries that code and decode, whose memory is counted (core/memory.h). No Lua, no loop.
 */
#ifndef GL_CODING_MEMORY_H
#define GL_CODING_MEMORY_H

#include <stddef.h>

/* `opaque` is ignored. NULL: memory was refused. */
void *gl_coding_alloc(void *opaque, size_t size);
void gl_coding_free(void *opaque, void *block);

#endif
