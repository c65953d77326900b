/* SPDX-License-Identifier: MIT
 *
 * libcurl, loaded when the first request is made: with the thirty libraries it needs, it would take most of the time a
 * script takes to start. Whoever includes this uses the API as always.
 */
#ifndef GL_HTTP_LIBCURL_H
#define GL_HTTP_LIBCURL_H

#include <curl/curl.h>

#undef curl_easy_getinfo /* macros that check the types of arguments, in vain where a call is indirect */
#undef curl_easy_setopt
#undef curl_multi_setopt

#define GL_CURL_NAMES(X) X(easy_cleanup) X(easy_getinfo) X(easy_init) X(easy_pause) X(easy_reset) \
  X(easy_setopt) X(easy_strerror) X(global_init) X(mime_addpart) X(mime_data) X(mime_filename) \
  X(mime_free) X(mime_init) X(mime_name) X(mime_type) X(multi_add_handle) X(multi_cleanup) \
  X(multi_info_read) X(multi_init) X(multi_remove_handle) X(multi_setopt) X(multi_socket_action) \
  X(slist_append) X(slist_free_all)

struct gl_libcurl {
#define X(name) __typeof__(curl_##name) *name;
  GL_CURL_NAMES(X)
#undef X
};

/* Filled once per process, and never unloaded. */
extern struct gl_libcurl gl_libcurl;

#define curl_easy_cleanup (*gl_libcurl.easy_cleanup)
#define curl_easy_getinfo (*gl_libcurl.easy_getinfo)
#define curl_easy_init (*gl_libcurl.easy_init)
#define curl_easy_pause (*gl_libcurl.easy_pause)
#define curl_easy_reset (*gl_libcurl.easy_reset)
#define curl_easy_setopt (*gl_libcurl.easy_setopt)
#define curl_easy_strerror (*gl_libcurl.easy_strerror)
#define curl_global_init (*gl_libcurl.global_init)
#define curl_mime_addpart (*gl_libcurl.mime_addpart)
#define curl_mime_data (*gl_libcurl.mime_data)
#define curl_mime_filename (*gl_libcurl.mime_filename)
#define curl_mime_free (*gl_libcurl.mime_free)
#define curl_mime_init (*gl_libcurl.mime_init)
#define curl_mime_name (*gl_libcurl.mime_name)
#define curl_mime_type (*gl_libcurl.mime_type)
#define curl_multi_add_handle (*gl_libcurl.multi_add_handle)
#define curl_multi_cleanup (*gl_libcurl.multi_cleanup)
#define curl_multi_info_read (*gl_libcurl.multi_info_read)
#define curl_multi_init (*gl_libcurl.multi_init)
#define curl_multi_remove_handle (*gl_libcurl.multi_remove_handle)
#define curl_multi_setopt (*gl_libcurl.multi_setopt)
#define curl_multi_socket_action (*gl_libcurl.multi_socket_action)
#define curl_slist_append (*gl_libcurl.slist_append)
#define curl_slist_free_all (*gl_libcurl.slist_free_all)

/* Before anything else. NULL, or why it cannot be used. */
const char *gl_libcurl_load(void);

#endif
