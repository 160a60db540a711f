/* SPDX-License-Identifier: Apache-2.0 */
/* https: fetches a small file over HTTPS (libcurl). It blocks. */
#ifndef MAILBOAT_IO_HTTPS_H
#define MAILBOAT_IO_HTTPS_H

#include "buffer.h"
#include "error.h"

enum {
    HTTPS_REDIRECTS_MAX = 3,
    HTTPS_CONNECT_MS = 1500,
};

/* Appends the body of a 200. `ca_file`: CA certificates to trust instead of
 * the system's, or NULL. A body of more than `size_max` octets, another
 * status, a certificate that is not valid and a redirect to anything but
 * HTTPS are failures. */
bool https_fetch(const char *url, const char *ca_file, size_t size_max, uint32_t timeout_ms, struct buffer *body, struct error *error);

#endif
