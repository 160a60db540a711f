/* SPDX-License-Identifier: Apache-2.0 */
/* https_library: libcurl, loaded when the first file is fetched over HTTPS (docs/decisions/0051). It is
 * linked with 20 other libraries that nothing else here needs; a program that does not fetch starts in half
 * the time without them. Only https.c calls it. A sandboxed process cannot open libraries: it loads before
 * its sandbox. */
#ifndef MAILBOAT_IO_HTTPS_LIBRARY_H
#define MAILBOAT_IO_HTTPS_LIBRARY_H

#include <curl/curl.h>

#include "base/error.h"

/* The functions of libcurl, with the types that its header gives them. */
struct https_library {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
};

/* Returns the functions; the first call loads and starts the library, which stays until the process ends.
 * NULL and EX_UNAVAILABLE if it is not installed or lacks a function. The first call must be made before
 * other threads start. */
const struct https_library *https_library(struct error *error);

#endif
