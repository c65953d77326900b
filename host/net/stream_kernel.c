/* SPDX-License-Identifier: MIT
 *
 * What the kernel says of a stream when it is asked.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "net/file_out.h"

void gl_stream_look(gl_stream *s) {
  uv_os_fd_t fd;
  if (s->reading || s->ended || s->closing || gl_stream_is_foreign(s) || uv_fileno(&s->uv.handle, &fd) != 0) return;
  if (!gl_hangup_is_there(fd)) return;
  s->hung_up = true;
  gl_stream_read(s);
}

/* Returns the bytes that the kernel took and that have not reached the other side. */
static uint64_t in_kernel(const gl_stream *s) {
  uv_os_fd_t fd;
  int queued = 0;
  return uv_fileno(&s->uv.handle, &fd) == 0 && ioctl(fd, SIOCOUTQ, &queued) == 0 ? (uint64_t)queued : 0;
}

uint64_t gl_stream_outstanding(const gl_stream *s) { return gl_stream_pending(s) + (s->file ? gl_file_out_left(s->file) : 0) + in_kernel(s); }

uint64_t gl_stream_delivered(const gl_stream *s) {
  uint64_t in_flight = s->write ? s->in_flight - uv_stream_get_write_queue_size(&s->uv.stream) : 0;
  uint64_t gone = s->taken + in_flight, left = in_kernel(s);
  return gone > left ? gone - left : 0; /* the kernel may have bytes that a job of a file has not told of yet */
}
