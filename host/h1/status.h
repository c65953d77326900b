/* SPDX-License-Identifier: MIT */
#ifndef GL_H1_STATUS_H
#define GL_H1_STATUS_H

/* Returns the reason phrase of a status as IANA registers it (RFC 9110, 15): "Not Found" for 404; "" for an unknown status. */
const char *gl_status_reason(int status);

#endif
