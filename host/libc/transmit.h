/* SPDX-License-Identifier: MIT */
#ifndef GL_LIBC_TRANSMIT_H
#define GL_LIBC_TRANSMIT_H

#include <sys/socket.h>

#include "libc/wait.h"

/* sendmsg as the layer has it, in the name of `type`. */
ssize_t gl_transmit(gl_layer *l, const gl_optype *type, int fd, const struct msghdr *m, int flags);

#endif
