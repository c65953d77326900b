/* SPDX-License-Identifier: MIT */
#ifndef GL_H1_STATUS_H
#define GL_H1_STATUS_H

#include <stdbool.h>

/* Returns the reason phrase of a status as IANA registers it (RFC 9110, 15): "Not Found" for 404; "" for an unknown status. */
const char *gl_status_reason(int status);

/* Has no response of this status a body, whatever its head says (RFC 9112, 6.3)? */
static inline bool gl_status_is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

#endif
